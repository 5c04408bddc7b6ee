//! Which rows are kept out of training and measured on.

use crate::error::{Result, TrainError};
use handcar_base::{Rng, Seed};

/// Streams of the seed that rows held out at random and folds are drawn from.
const HOLDOUT_STREAM: u64 = 0x686f_6c64;
const FOLD_STREAM: u64 = 0x666f_6c64;

/// Rows held out of training and measured on: a pure function of seed, row and number of rows, so any partition of the rows over
/// workers holds out the same ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Holdout {
    /// About this share, drawn by the seed row by row.
    Share(f64),
    /// This share at the end; rows are taken to be in order of time.
    Last(f64),
    /// A part of the rows.
    Fold(Fold),
}

/// One of several parts of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Which one, from 0.
    pub number: u32,
    /// What it is one of.
    pub of: Folds,
}

/// How rows are parted for cross-validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folds {
    /// Models to train, at least 2.
    pub count: u32,
    /// Which rows each is measured on.
    pub by: FoldsBy,
}

/// Which rows are measured on together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FoldsBy {
    /// Parts drawn by the seed, whose sizes differ by at most one; each model is trained on all other parts.
    #[default]
    Seed,
    /// Consecutive parts, one more than there are models; model i (from 1) is trained on the first i and measured on the next
    /// (forward chaining). Rows are taken to be in order of time.
    Time,
}

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Train,
    Measure,
    /// Neither: it comes later than the rows measured on.
    Nothing,
}

impl Holdout {
    /// The share of the rows that was asked for.
    pub fn share(self) -> Option<f64> {
        match self {
            Self::Share(share) | Self::Last(share) => Some(share),
            Self::Fold(_) => None,
        }
    }

    /// The word in messages and tables for the rows measured on.
    pub(super) fn name(self) -> &'static str {
        if let Self::Fold(_) = self { "fold" } else { "holdout" }
    }

    /// Refuses shares outside their range and data with too few rows.
    pub(super) fn check(self, rows: usize) -> Result<()> {
        let option = |what, expected, got: String| Err(TrainError::Option { what, expected, got });
        match self {
            Self::Share(share) | Self::Last(share) if !(share > 0.0 && share < 1.0) => {
                option("holdout", "between 0 and 1, both excluded", share.to_string())
            }
            Self::Last(_) if rows < 2 => {
                let got = format!("{rows}");
                Err(TrainError::Data { expected: "at least 2 rows, to train on and to hold out".into(), got })
            }
            Self::Fold(fold) => fold.of.check(rows),
            _ => Ok(()),
        }
    }

    /// What a row is for.
    pub(super) fn use_of(self, seed: u64, row: usize, rows: usize) -> Use {
        let held = match self {
            Self::Share(share) => {
                Rng::new(Seed(seed), HOLDOUT_STREAM ^ (row as u64) << 32 ^ (row as u64) >> 32).uniform() < share
            }
            Self::Last(share) => row >= rows - ((rows as f64 * share).round() as usize).clamp(1, rows - 1),
            Self::Fold(Fold { number, of: Folds { count, by: FoldsBy::Seed } }) => drawn(seed, row, count) == number,
            Self::Fold(Fold { number, of: Folds { count, by: FoldsBy::Time } }) => {
                let begin = |part: u32| (rows as u128 * part as u128 / (count as u128 + 1)) as usize;
                if row >= begin(number + 2) {
                    return Use::Nothing;
                }
                row >= begin(number + 1)
            }
        };
        if held { Use::Measure } else { Use::Train }
    }
}

/// Folds at most: the tables of all models are kept until the job ends, and a server has room for 1024 tables.
const FOLDS_MAX: u32 = 100;

impl Folds {
    /// Refuses too few, too many, and more than the rows allow.
    pub(super) fn check(self, rows: usize) -> Result<()> {
        let least = if self.by == FoldsBy::Time { self.count as usize + 1 } else { self.count as usize };
        if self.count < 2 {
            let (what, expected, got) = ("folds", "at least 2", self.count.to_string());
            return Err(TrainError::Option { what, expected, got });
        }
        if self.count > FOLDS_MAX {
            let (what, expected, got) = ("folds", "at most 100", self.count.to_string());
            return Err(TrainError::Option { what, expected, got });
        }
        if least > rows {
            let expected = format!("at least {least} rows for {} folds", self.count);
            return Err(TrainError::Data { expected, got: rows.to_string() });
        }
        Ok(())
    }
}

/// The part that the seed draws for a row: every `count` rows in a row have different ones, in an order of their own.
fn drawn(seed: u64, row: usize, count: u32) -> u32 {
    let (lot, at) = (row as u64 / count as u64, row as u64 % count as u64);
    let mut r = Rng::new(Seed(seed), FOLD_STREAM ^ lot << 32 ^ lot >> 32);
    let mut order: Vec<u32> = (0..count).collect();
    (1..order.len()).rev().for_each(|i| order.swap(i, r.below(i as u64 + 1) as usize));
    order[at as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holdout: Holdout, seed: u64, rows: usize) -> Vec<usize> {
        (0..rows).filter(|&row| holdout.use_of(seed, row, rows) == Use::Measure).collect()
    }

    #[test]
    fn the_holdout_has_about_its_share_and_depends_on_the_seed() {
        let rows = |seed| held(Holdout::Share(0.2), seed, 20_000);
        let a = rows(0);
        assert!((a.len() as f64 - 4000.0).abs() < 250.0, "{}", a.len());
        assert_ne!(a, rows(1));
        assert_eq!(a, rows(0));
    }

    #[test]
    fn the_last_rows_are_held_out_and_never_none_or_all() {
        assert_eq!(held(Holdout::Last(0.25), 3, 10), [7, 8, 9]);
        assert_eq!(held(Holdout::Last(0.001), 3, 10), [9]);
        assert_eq!(held(Holdout::Last(0.999), 3, 10).len(), 9);
    }

    #[test]
    fn folds_by_seed_hold_every_row_once_and_are_of_like_size() {
        for (rows, count) in [(100, 7), (7, 7), (1000, 3)] {
            let fold = |number| Holdout::Fold(Fold { number, of: Folds { count, by: FoldsBy::Seed } });
            let all: Vec<Vec<usize>> = (0..count).map(|n| held(fold(n), 5, rows)).collect();
            let sizes: Vec<usize> = all.iter().map(Vec::len).collect();
            assert!(sizes.iter().all(|s| s.abs_diff(rows / count as usize) <= 1 && *s > 0), "{sizes:?}");
            let mut together: Vec<usize> = all.concat();
            together.sort_unstable();
            assert_eq!(together, (0..rows).collect::<Vec<_>>());
            assert!(rows < 50 || all[0] != held(fold(0), 6, rows));
        }
    }

    #[test]
    fn folds_by_time_train_on_what_came_before_alone() {
        for number in 0..4 {
            let fold = Holdout::Fold(Fold { number, of: Folds { count: 4, by: FoldsBy::Time } });
            let uses: Vec<Use> = (0..103).map(|row| fold.use_of(9, row, 103)).collect();
            let of = |wanted: Use| uses.iter().filter(|u| **u == wanted).count();
            assert!(uses.is_sorted_by_key(|u| *u as u8));
            assert_eq!(of(Use::Train), 103 * (number as usize + 1) / 5);
            assert!((20..=21).contains(&of(Use::Measure)));
        }
    }

    #[test]
    fn shares_and_folds_out_of_range_are_refused() {
        let told = |h: Holdout, rows| h.check(rows).err().map(|e| e.to_string()).unwrap_or_default();
        for share in [0.0, 1.0, -0.5, f64::NAN] {
            for holdout in [Holdout::Share(share), Holdout::Last(share)] {
                assert!(told(holdout, 9).contains("expected holdout between 0 and 1, both excluded"));
            }
        }
        let fold = |count, by| Holdout::Fold(Fold { number: 0, of: Folds { count, by } });
        assert!(told(Holdout::Last(0.5), 1).contains("at least 2 rows, to train on and to hold out, got 1"));
        assert!(told(fold(1, FoldsBy::Seed), 9).contains("expected folds at least 2, got 1"));
        assert!(told(fold(101, FoldsBy::Seed), 999).contains("expected folds at most 100, got 101"));
        assert!(told(fold(10, FoldsBy::Seed), 9).contains("expected at least 10 rows for 10 folds, got 9"));
        assert!(told(fold(9, FoldsBy::Time), 9).contains("expected at least 10 rows for 9 folds, got 9"));
        assert_eq!(told(fold(9, FoldsBy::Seed), 9), "");
    }
}
