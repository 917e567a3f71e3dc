//! What a process has taken so far. Nothing is known where there is no /proc.

use std::path::Path;

/// Most resident memory, in MiB: since its start, or since `forget_peak`.
pub fn peak_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// From now on `peak_mib` counts anew.
pub fn forget_peak(pid: u32) {
    let path = format!("/proc/{pid}/clear_refs");
    if Path::new(&path).exists()
        && let Err(error) = std::fs::write(&path, "5")
    {
        eprintln!("{path}: {error}: peaks of memory are those since the start of the process");
    }
}

/// Seconds of processor time, user and system.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name in parentheses: state is field 3, utime 14, stime 15, in hundredths of a second.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

/// The sum; `None` if one of them is not known.
pub fn all(pids: &[u32], of: impl Fn(u32) -> Option<f64>) -> Option<f64> {
    pids.iter().map(|pid| of(*pid)).sum()
}
