//! Peak memory of this process.

/// The largest resident memory this process has had, in bytes; `None` where the system does not tell.
pub fn peak_memory_bytes() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_water_mark_is_read_in_bytes() {
        assert_eq!(parse("Name:\tx\nVmHWM:\t   12340 kB\nVmRSS:\t 1 kB\n"), Some(12340 * 1024));
        assert_eq!(parse("Name:\tx\n"), None);
    }
}
