//! Counters on servers that tell each worker its own turns, however often it asks.

use handcar_base::Key;
use handcar_ps::{Entry, Registry, Updater};

/// Name under which servers know the updater.
pub(super) const NAME: &str = "minibatch.turns";
/// More workers than any job has.
const WORKERS_MAX: u64 = 1 << 16;

/// Adds the updater to a registry.
pub(super) fn register(registry: &mut Registry) {
    registry.register(NAME, |params| {
        let workers = <[u8; 8]>::try_from(params).ok().map(u64::from_le_bytes);
        match workers.filter(|n| (1..=WORKERS_MAX).contains(n)) {
            Some(workers) => Ok(Counter { workers: workers as usize }),
            None => Err(format!("expected the number of workers, got {params:?}")),
        }
    });
}

/// Of a job with so many workers.
struct Counter {
    workers: usize,
}

/// A count, and what it was after the last turn of each worker.
///
/// A worker that asks again, since the answer was lost with a server, is told of its own turn and not of those that others have taken
/// meanwhile: a repeated push is not applied, but answered with what is there.
#[derive(Clone, Debug, PartialEq)]
struct Count {
    all: i64,
    after: Vec<i64>,
}

impl Entry for Count {
    fn write(&self, out: &mut Vec<u8>) {
        self.all.write(out);
        (self.after.len() as u32).write(out);
        self.after.iter().for_each(|n| n.write(out));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let (all, workers) = <(i64, u32)>::read(from)?;
        let after: Option<Vec<i64>> = (0..workers).map_while(|_| i64::read(from).map(Some)).collect();
        after.filter(|a| a.len() == workers as usize).map(|after| Self { all, after })
    }
}

impl Updater for Counter {
    type Entry = Count;
    type Push = i64;
    type Pull = i64;

    /// By how much, and the rank of who counts.
    fn push_width(&self) -> usize {
        2
    }

    /// The count, and what it was after each worker's last turn.
    fn pull_width(&self) -> usize {
        1 + self.workers
    }

    fn init(&self, _key: Key) -> Count {
        Count { all: 0, after: vec![0; self.workers] }
    }

    fn apply(&mut self, _key: Key, count: &mut Count, pushed: &[i64]) {
        count.all = count.all.wrapping_add(pushed[0]);
        if let Some(after) = usize::try_from(pushed[1]).ok().and_then(|rank| count.after.get_mut(rank)) {
            *after = count.all;
        }
    }

    fn read(&self, _key: Key, count: &Count, out: &mut [i64]) {
        out[0] = count.all;
        out[1..].iter_mut().zip(&count.after).for_each(|(to, n)| *to = *n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_stays_told_whatever_others_count_meanwhile() {
        let mut counter = Counter { workers: 3 };
        let mut count = counter.init(0);
        for (by, rank) in [(2, 0), (1, 1), (1, 2), (1, 1)] {
            counter.apply(0, &mut count, &[by, rank]);
        }
        let mut out = [0; 4];
        counter.read(0, &count, &mut out);
        assert_eq!(out, [5, 2, 5, 4]);
        // Nobody has this rank.
        counter.apply(0, &mut count, &[1, 9]);
        counter.apply(0, &mut count, &[1, -1]);
        assert_eq!((count.all, &count.after[..]), (7, &[2, 5, 4][..]));
    }

    #[test]
    fn counts_come_back_and_cut_ones_are_refused() {
        let count = Count { all: -3, after: vec![1, i64::MAX] };
        let mut bytes = Vec::new();
        count.write(&mut bytes);
        assert_eq!(Count::read(&mut &bytes[..]), Some(count));
        for cut in 0..bytes.len() {
            assert_eq!(Count::read(&mut &bytes[..cut]), None, "{cut}");
        }
    }
}
