//! `Rounds`: collectives that wait for all workers.

use crate::message::Millis;
use std::collections::BTreeMap;

/// A worker may run ahead of the slowest by as many collectives; each holds its values until all have come.
pub const ROUNDS_AHEAD_MAX: u64 = 4096;

#[derive(Debug)]
struct Round<T> {
    due: Millis,
    slots: Vec<Option<T>>,
    arrived: usize,
}

/// Collects one item a worker for each numbered round.
#[derive(Debug)]
pub struct Rounds<T> {
    workers: usize,
    pending: BTreeMap<u64, Round<T>>,
}

impl<T> Rounds<T> {
    /// No rounds yet, for a number of workers.
    pub fn new(workers: usize) -> Self {
        Self { workers, pending: BTreeMap::new() }
    }

    /// Adds a worker's item, due at a time, to a round that is not before `next`. `same` says whether an item that is
    /// already there is the very same one, sent again: then the new one is dropped.
    ///
    /// # Errors
    /// The reason, if the round is too far ahead or already holds another item of this worker.
    pub fn arrive(
        &mut self,
        next: u64,
        round: u64,
        worker: usize,
        due: Millis,
        item: T,
        same: impl FnOnce(&T, &T) -> bool,
    ) -> Result<(), String> {
        let window = next..next.saturating_add(ROUNDS_AHEAD_MAX);
        if !window.contains(&round) {
            return Err(format!("expected a round in {}..{}, got {round}", window.start, window.end));
        }
        let workers = self.workers;
        let entry = self.pending.entry(round).or_insert_with(|| Round {
            due,
            slots: std::iter::repeat_with(|| None).take(workers).collect(),
            arrived: 0,
        });
        entry.due = entry.due.min(due);
        match entry.slots.get_mut(worker) {
            Some(slot @ None) => {
                *slot = Some(item);
                entry.arrived += 1;
                Ok(())
            }
            Some(Some(there)) if same(there, &item) => Ok(()),
            Some(Some(_)) => Err(format!("expected one item from worker {worker} in round {round}, got two")),
            None => Err(format!("expected a worker below {workers}, got {worker}")),
        }
    }

    /// Takes the earliest round that has every worker's item and that `ready` accepts: its number, and the items in
    /// worker order.
    pub fn take(&mut self, ready: impl Fn(u64, &T) -> bool) -> Option<(u64, Vec<T>)> {
        let full = |r: &Round<T>| r.arrived == self.workers;
        let ready = |round: u64, r: &Round<T>| r.slots.iter().flatten().all(|item| ready(round, item));
        let round = *self.pending.iter().find(|&(&n, r)| full(r) && ready(n, r))?.0;
        let slots = self.pending.remove(&round)?.slots;
        Some((round, slots.into_iter().flatten().collect()))
    }

    /// Rounds past their time: for each the workers that came and those that did not. Each is reported once.
    pub fn late(&mut self, now: Millis) -> Vec<(Vec<&T>, Vec<u32>)> {
        let mut late = Vec::new();
        for round in self.pending.values_mut().filter(|r| r.due <= now) {
            round.due = Millis(u64::MAX);
            let missing: Vec<u32> = (0..).zip(&round.slots).filter(|(_, s)| s.is_none()).map(|(i, _)| i).collect();
            if !missing.is_empty() {
                late.push((round.slots.iter().flatten().collect(), missing));
            }
        }
        late
    }

    /// Forgets everything: after a change of view the workers ask again.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// Whether some round waits for a worker.
    pub fn waiting(&self) -> bool {
        !self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: Millis = Millis(100);

    fn arrive(r: &mut Rounds<&'static str>, round: u64, worker: usize, item: &'static str) -> Result<(), String> {
        r.arrive(0, round, worker, DUE, item, |a, b| a == b)
    }

    #[test]
    fn rounds_complete_in_order_and_in_worker_order() {
        let mut r = Rounds::new(2);
        arrive(&mut r, 1, 1, "1b").unwrap();
        arrive(&mut r, 1, 0, "1a").unwrap();
        assert_eq!(r.take(|n, _| n == 0), None, "round 0 comes first");
        arrive(&mut r, 0, 1, "0b").unwrap();
        assert_eq!(r.take(|n, _| n == 0), None);
        arrive(&mut r, 0, 0, "0a").unwrap();
        assert_eq!(r.take(|n, _| n == 0), Some((0, vec!["0a", "0b"])));
        assert_eq!(r.take(|_, _| true), Some((1, vec!["1a", "1b"])));
        assert!(!r.waiting());
    }

    #[test]
    fn doubles_strangers_and_wild_rounds_are_refused_and_a_resend_is_not() {
        let mut r = Rounds::new(2);
        arrive(&mut r, 0, 0, "a").unwrap();
        arrive(&mut r, 0, 0, "a").unwrap();
        assert_eq!(arrive(&mut r, 0, 0, "b").unwrap_err(), "expected one item from worker 0 in round 0, got two");
        assert_eq!(arrive(&mut r, 0, 2, "c").unwrap_err(), "expected a worker below 2, got 2");
        assert_eq!(arrive(&mut r, ROUNDS_AHEAD_MAX, 0, "d").unwrap_err(), "expected a round in 0..4096, got 4096");
    }

    #[test]
    fn late_rounds_name_the_missing_once() {
        let mut r = Rounds::new(3);
        arrive(&mut r, 0, 1, "b").unwrap();
        assert!(r.late(Millis(99)).is_empty());
        assert_eq!(r.late(Millis(100)), vec![(vec![&"b"], vec![0, 2])]);
        assert!(r.late(Millis(101)).is_empty());
    }
}
