//! Tests that this machine cannot run say so, and are counted at the end of `make test`.

use std::io::Write;

/// Notes that the calling test was skipped. `CROSSFADE_SKIPPED` names the file in which `make test` collects the notes.
pub fn note(test: &str, reason: &str) {
    let line = format!("{test}: {}\n", reason.trim().replace('\n', " "));
    eprint!("skipped: {line}");
    let Some(path) = std::env::var_os("CROSSFADE_SKIPPED") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("{}: {error}", path.display());
    }
}

/// The name of the running test, as the test harness names its threads.
pub fn test_name() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}
