//! Data on stdout, messages on stderr, and exit codes: 0 yes, 1 a definite no, 2 no answer.

use std::io::Write;

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// How a command ended, when it ended without an error. An error is `NoAnswer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Yes,
    No,
    NoAnswer,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::NoAnswer => 2,
        }
    }
}

/// Prints data: the value as JSON, or what `text` makes of it. A closed pipe is not an error.
pub fn print<T: Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let mut out = match format {
        Format::Json => serde_json::to_string_pretty(value)?,
        Format::Text => text(value),
    };
    if !out.ends_with('\n') {
        out.push('\n');
    }
    match std::io::stdout().lock().write_all(out.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// For commands that do something: the message goes to stderr, and stdout has the facts if JSON was asked for.
pub fn say<T: Serialize>(format: Format, value: &T, message: impl FnOnce() -> String) -> anyhow::Result<()> {
    if format == Format::Json {
        return print(format, value, |_| String::new());
    }
    eprintln!("{}", message());
    Ok(())
}

/// A table of text with aligned columns.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}
