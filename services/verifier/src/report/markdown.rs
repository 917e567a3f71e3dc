//! The document as Markdown. Pure.

use super::{Block, Document, Table};

/// Text that stays text: nothing in it is markup, and it is one line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            // A bare address would become a link.
            ':' => out.push_str("&#58;"),
            '@' => out.push_str("&#64;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

pub fn write(document: &Document) -> String {
    let mut out = format!("# {}\n\n{}\n", plain(&document.title), plain(&document.summary));
    for block in &document.blocks {
        out.push('\n');
        match block {
            Block::Heading(text) => out += &format!("## {}\n", plain(text)),
            Block::Text(text) => out += &format!("{}\n", plain(text)),
            Block::Facts(facts) => {
                for (name, what) in facts {
                    out += &format!("- **{}**: {}\n", plain(name), plain(what));
                }
            }
            Block::List(items) => items.iter().for_each(|i| out += &format!("- {}\n", plain(i))),
            Block::Table(table) => out += &rows(table),
            // The numbers stand in the table beside it.
            Block::Plot(plot) => out += &format!("*{}*: {}\n", plain(&plot.title), plain(&plot.text)),
            Block::Signatures(fields) => {
                let empty = vec![String::new(); fields.len()];
                out += &rows(&Table {
                    caption: String::new(),
                    head: fields.clone(),
                    rows: vec![empty.clone(), empty.clone(), empty],
                });
            }
        }
    }
    out
}

fn rows(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut out = String::new();
    if !table.caption.is_empty() {
        out += &format!("{}:\n\n", plain(&table.caption));
    }
    out += &line(table.head.iter().map(|h| plain(h)).collect());
    out += &line(table.head.iter().map(|_| "---".into()).collect());
    for row in &table.rows {
        out += &line(row.iter().map(|c| plain(c)).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_text() {
        let hostile = "<img src=x onerror=alert(1)> | **b** [a](http://x) `c`\n# h";
        let shown = plain(hostile);
        assert!(
            !shown.contains('<') && !shown.contains('\n') && !shown.contains("](") && !shown.contains("://"),
            "{shown}"
        );
        let table = Table { caption: String::new(), head: vec!["a"], rows: vec![vec![hostile.into()]] };
        assert_eq!(rows(&table).lines().count(), 3);
    }
}
