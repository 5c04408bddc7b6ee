//! `PositionRange`: an unbroken run of positions.

use super::error::{Error, Result};
use super::hex;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The positions `first..=last`, never empty. The last is included because the one after it may not fit 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Ends", into = "Ends")]
pub struct PositionRange {
    first: u64,
    last: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    #[serde(with = "hex::number")]
    first: u64,
    #[serde(with = "hex::number")]
    last: u64,
}

impl TryFrom<Ends> for PositionRange {
    type Error = Error;
    fn try_from(e: Ends) -> Result<Self> {
        Self::new(e.first, e.last)
    }
}

impl From<PositionRange> for Ends {
    fn from(r: PositionRange) -> Self {
        Self { first: r.first, last: r.last }
    }
}

impl PositionRange {
    /// Every position.
    pub const WHOLE: Self = Self { first: 0, last: u64::MAX };

    /// The positions `first..=last`.
    ///
    /// # Errors
    /// [`Error::Argument`] if `first > last`.
    pub fn new(first: u64, last: u64) -> Result<Self> {
        if first > last {
            return Err(Error::argument("position range", "first <= last", format!("{first:016x} > {last:016x}")));
        }
        Ok(Self { first, last })
    }

    /// The positions of share `index` of `shares` equal ones: those `p` with `⌊p · shares / 2⁶⁴⌋ = index`.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `index < shares`.
    pub fn share(index: u32, shares: u32) -> Result<Self> {
        if index >= shares {
            return Err(Error::argument("position range", format!("a share below {shares}"), index.to_string()));
        }
        // ⌈index · 2⁶⁴ / shares⌉: the first position whose product reaches index · 2⁶⁴.
        let start = |i: u32| ((i as u128) << 64).div_ceil(shares as u128);
        Ok(Self { first: start(index) as u64, last: (start(index + 1) - 1) as u64 })
    }

    /// The first position.
    pub fn first(self) -> u64 {
        self.first
    }

    /// The last position, which is included.
    pub fn last(self) -> u64 {
        self.last
    }

    /// Whether a position lies inside.
    pub fn contains(self, position: u64) -> bool {
        (self.first..=self.last).contains(&position)
    }

    /// Whether the two have a position in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PositionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}..={:016x}", self.first, self.last)
    }
}

impl fmt::Debug for PositionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_meet_without_gap_and_equal_the_placement_formula() {
        for shares in [1u32, 2, 3, 7, 1000, u32::MAX] {
            let mut next = 0u128;
            for index in (0..shares.min(1000)).chain(shares.saturating_sub(3)..shares) {
                let r = PositionRange::share(index, shares).expect("a share");
                for p in [r.first(), r.last()] {
                    assert_eq!((p as u128 * shares as u128) >> 64, index as u128);
                }
                assert!(next == r.first() as u128 || index + 3 >= shares);
                next = r.last() as u128 + 1;
            }
            assert_eq!(next, 1 << 64);
        }
        assert_eq!(PositionRange::share(0, 1), Ok(PositionRange::WHOLE));
        assert!(PositionRange::share(2, 2).is_err() && PositionRange::share(0, 0).is_err());
    }

    #[test]
    fn a_backward_range_is_refused_from_text_too() {
        assert!(PositionRange::new(2, 1).is_err());
        let text = r#"{"first":"0000000000000002","last":"0000000000000001"}"#;
        assert!(serde_json::from_str::<PositionRange>(text).is_err());
        let whole = serde_json::to_string(&PositionRange::WHOLE).expect("a range is JSON");
        assert_eq!(whole, r#"{"first":"0000000000000000","last":"ffffffffffffffff"}"#);
    }
}
