//! `Probation`: what was met once and may never be met again.
//!
//! Lists of minibatches come once; lists of blocks come again and again. Both ends of a connection keep a new list for a short
//! while, in the order of arrival, and only one that is named in that time is remembered for good. So lists that come once
//! use the same little memory over and over, and do not displace others.

use std::collections::VecDeque;

/// Bytes of new lists that are kept for each worker: some minibatches.
pub const PROBATION_BYTES_MAX: usize = 32 << 20;

/// Values by name, forgotten in the order in which they came.
#[derive(Debug)]
pub struct Probation<K, V> {
    queue: VecDeque<(K, V, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl<K: PartialEq, V> Probation<K, V> {
    /// Holds at most so many bytes, or one value.
    pub fn new(bytes_max: usize) -> Self {
        Self { queue: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Whether a value is there.
    pub fn has(&self, name: &K) -> bool {
        self.queue.iter().any(|e| e.0 == *name)
    }

    /// Takes a value out: it was met again.
    pub fn take(&mut self, name: &K) -> Option<(V, usize)> {
        let at = self.queue.iter().position(|e| e.0 == *name)?;
        let (_, value, bytes) = self.queue.remove(at)?;
        self.bytes -= bytes;
        Some((value, bytes))
    }

    /// Adds a value; those that have no room any more are given to `gone`.
    pub fn put(&mut self, name: K, value: V, bytes: usize, mut gone: impl FnMut(V)) {
        self.bytes += bytes;
        self.queue.push_back((name, value, bytes));
        while self.bytes > self.bytes_max
            && self.queue.len() > 1
            && let Some((_, value, bytes)) = self.queue.pop_front()
        {
            self.bytes -= bytes;
            gone(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_met_again_goes_in_the_order_of_arrival() {
        let (mut p, mut gone) = (Probation::new(10), Vec::new());
        for name in 1..=4 {
            p.put(name, name * 10, 4, |v| gone.push(v));
            if name == 2 {
                assert_eq!(p.take(&1), Some((10, 4)));
            }
        }
        assert_eq!((gone, p.has(&2), p.has(&4)), (vec![20], false, true));
        p.put(9, 90, 100, drop);
        assert_eq!((p.has(&4), p.has(&9)), (false, true), "the newest is kept: it is in use");
    }
}
