//! The work of a job whose workers come and go: passes cut into portions, and what the table holds after each.

use crate::portion::Portion;
use handcar_base::{Key, Rng, Seed, hash};
use std::collections::BTreeMap;

/// Portions of a pass.
pub(super) const PORTIONS: u32 = 10;
/// Passes with keys of their own; then the same come again. A worker that has seen the end of a pass finds its sums as they
/// were, unless others are so many passes ahead.
const SLOTS: u64 = 4;
const SLOT_KEYS: u64 = 6;

/// The keys that a pass pushes to.
pub(super) fn slot_keys(pass: u64) -> Vec<Key> {
    let key = |n: u64| hash::bytes(&((pass % SLOTS) * SLOT_KEYS + n).to_le_bytes(), 7);
    let mut keys: Vec<Key> = (0..SLOT_KEYS).map(key).collect();
    keys.sort_unstable();
    keys
}

/// The pushes made for a portion, in order: the same whoever makes them.
pub(super) fn pushes(portion: Portion) -> Vec<Vec<(Key, i64)>> {
    let mut rng = Rng::new(Seed(portion.pass), u64::from(portion.index));
    let keys = slot_keys(portion.pass);
    let mut one = || {
        let some: Vec<Key> = keys.iter().copied().filter(|_| rng.below(2) == 0).collect();
        some.into_iter().map(|k| (k, 1 + rng.below(1 << 20) as i64)).collect()
    };
    (0..1 + portion.index % 3).map(|_| one()).collect()
}

/// The reference: each portion counts once.
#[derive(Debug, Default)]
pub(super) struct Passes {
    /// By pass that some worker asked for: the sums of its keys after it.
    sums: Vec<BTreeMap<Key, i64>>,
}

impl Passes {
    /// A worker asks for portions of a pass.
    pub fn begin(&mut self, pass: u64) {
        while self.begun() <= pass {
            let next = self.begun();
            let before = next.checked_sub(SLOTS).and_then(|p| self.sums.get(p as usize));
            let mut sums = before.cloned().unwrap_or_else(|| slot_keys(next).into_iter().map(|k| (k, 0)).collect());
            for (k, v) in (0..PORTIONS).flat_map(|index| pushes(Portion { pass: next, index })).flatten() {
                *sums.entry(k).or_default() += v;
            }
            self.sums.push(sums);
        }
    }

    /// Passes that some worker asked for.
    pub fn begun(&self) -> u64 {
        self.sums.len() as u64
    }

    /// Whether values pulled after the end of a pass are its sums, or lie between these and those of later passes.
    pub fn check(&self, pass: u64, got: &[i64]) -> Result<(), String> {
        let last = (pass..self.begun()).step_by(SLOTS as usize).last().unwrap_or(pass);
        let (Some(least), Some(most)) = (self.sums.get(pass as usize), self.sums.get(last as usize)) else {
            return Err(format!("pass {pass} is over and was never begun"));
        };
        if got.len() != least.len() {
            return Err(format!("a pull of {} keys must give as many values, gave {}", least.len(), got.len()));
        }
        for ((key, least), (most, got)) in least.iter().zip(most.values().zip(got)) {
            if got < least || got > most {
                return Err(format!("key {key:016x} must be {least} to {most} after pass {pass}, is {got}"));
            }
        }
        Ok(())
    }

    /// The sums at the end, when every pass is over.
    pub fn last(&self) -> impl Iterator<Item = (Key, i64)> + '_ {
        let first = self.sums.len().saturating_sub(SLOTS as usize);
        self.sums[first..].iter().flatten().map(|(&k, &v)| (k, v))
    }
}
