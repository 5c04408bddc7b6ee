//! `Rounds`: collectives of all workers, completed in order.

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

/// Collects one item a worker for each numbered round and hands complete rounds out in order of their numbers.
#[derive(Debug)]
pub struct Rounds<T> {
    workers: usize,
    next: u64,
    pending: BTreeMap<u64, Round<T>>,
}

impl<T> Rounds<T> {
    /// No rounds yet, for a number of workers.
    pub fn new(workers: usize) -> Self {
        Self { workers, next: 0, pending: BTreeMap::new() }
    }

    /// Adds a worker's item, due at a time.
    ///
    /// # Errors
    /// The item and the reason, if the round is past, too far ahead, or already holds an item of this worker.
    pub fn arrive(&mut self, round: u64, worker: usize, due: Millis, item: T) -> Result<(), (T, String)> {
        let window = self.next..self.next + ROUNDS_AHEAD_MAX;
        if !window.contains(&round) {
            return Err((item, format!("expected a round in {}..{}, got {round}", window.start, window.end)));
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
            Some(Some(_)) => Err((item, format!("expected one item from worker {worker} in round {round}, got two"))),
            None => Err((item, format!("expected a worker below {workers}, got {worker}"))),
        }
    }

    /// The next round in order, once every worker's item is there: the items in worker order.
    pub fn complete(&mut self) -> Option<Vec<T>> {
        let first = self.pending.first_entry()?;
        if *first.key() != self.next || first.get().arrived < self.workers {
            return None;
        }
        self.next += 1;
        Some(first.remove().slots.into_iter().flatten().collect())
    }

    /// Rounds past their time: for each the workers that came and those that did not. Each is reported once.
    pub fn late(&mut self, now: Millis) -> Vec<(Vec<&T>, Vec<u32>)> {
        let mut late = Vec::new();
        for round in self.pending.values_mut().filter(|r| r.due <= now) {
            round.due = Millis(u64::MAX);
            let missing = (0..).zip(&round.slots).filter(|(_, s)| s.is_none()).map(|(i, _)| i).collect();
            late.push((round.slots.iter().flatten().collect(), missing));
        }
        late
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

    #[test]
    fn rounds_complete_in_order_and_in_worker_order() {
        let mut r = Rounds::new(2);
        r.arrive(1, 1, DUE, "1b").unwrap();
        r.arrive(1, 0, DUE, "1a").unwrap();
        assert_eq!(r.complete(), None, "round 0 comes first");
        r.arrive(0, 1, DUE, "0b").unwrap();
        assert_eq!(r.complete(), None);
        r.arrive(0, 0, DUE, "0a").unwrap();
        assert_eq!(r.complete(), Some(vec!["0a", "0b"]));
        assert_eq!(r.complete(), Some(vec!["1a", "1b"]));
        assert!(!r.waiting());
    }

    #[test]
    fn doubles_strangers_and_wild_rounds_are_refused() {
        let mut r = Rounds::new(2);
        r.arrive(0, 0, DUE, 'a').unwrap();
        assert_eq!(r.arrive(0, 0, DUE, 'b').unwrap_err().1, "expected one item from worker 0 in round 0, got two");
        assert_eq!(r.arrive(0, 2, DUE, 'c').unwrap_err().1, "expected a worker below 2, got 2");
        assert_eq!(r.arrive(ROUNDS_AHEAD_MAX, 0, DUE, 'd').unwrap_err().1, "expected a round in 0..4096, got 4096");
    }

    #[test]
    fn late_rounds_name_the_missing_once() {
        let mut r = Rounds::new(3);
        r.arrive(0, 1, DUE, 'b').unwrap();
        assert!(r.late(Millis(99)).is_empty());
        assert_eq!(r.late(Millis(100)), vec![(vec![&'b'], vec![0, 2])]);
        assert!(r.late(Millis(101)).is_empty());
    }
}
