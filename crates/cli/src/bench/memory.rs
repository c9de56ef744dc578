//! Memory of this process.

use std::fs;

/// Most memory that the process ever held.
pub(super) const PEAK: &str = "VmHWM:";

/// Bytes on a line of this process's status; `None` where the system does not say.
pub(super) fn memory(line: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|it| it.strip_prefix(line))?;
    let kilobytes: u64 = kilobytes.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
