//! A run of seeds, for clap.

use std::ops::Range;

/// `A..B` with `A < B`, or one seed.
pub fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |t: &str| t.parse::<u64>().ok();
    let range = match text.split_once("..") {
        Some((a, b)) => number(a).zip(number(b)).map(|(a, b)| a..b),
        None => number(text).filter(|&n| n < u64::MAX).map(|n| n..n + 1),
    };
    range.filter(|r| r.start < r.end).ok_or_else(|| "expected A..B with A below B, or one seed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_run_or_one() {
        assert_eq!((seeds("3..7"), seeds("3")), (Ok(3..7), Ok(3..4)));
        for wrong in ["7..3", "3..3", "..", "a..b", "-1..3", "", "18446744073709551615"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
