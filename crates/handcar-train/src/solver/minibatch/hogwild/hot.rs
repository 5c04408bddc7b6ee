//! Keys that many rows have: each thread has its own copy, so that no line travels between cores row by row.

use super::super::rule::Rule;
use std::sync::{Mutex, PoisonError};

/// Rows that a thread learns from before it joins its copy with the others'.
pub(super) const JOIN_ROWS: usize = 4096;

/// A thread's copy of the hot keys.
pub(super) struct Copied<S> {
    pub mine: Vec<S>,
    /// As they were when last joined.
    base: Vec<S>,
    /// Rows since then.
    rows: usize,
}

impl<S: Copy> Copied<S> {
    pub fn of(all: &Mutex<Vec<S>>) -> Self {
        let mine = all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self { base: mine.clone(), mine, rows: 0 }
    }

    /// Counts rows that were learned from; joins if that is due.
    pub fn count<R: Rule<State = S>>(&mut self, rows: usize, all: &Mutex<Vec<S>>) {
        self.rows += rows;
        if self.rows >= JOIN_ROWS {
            self.join::<R>(all);
        }
    }

    /// Adds what this thread has changed to what all have, and goes on from there.
    pub fn join<R: Rule<State = S>>(&mut self, all: &Mutex<Vec<S>>) {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        for ((mine, base), all) in self.mine.iter_mut().zip(&mut self.base).zip(all.iter_mut()) {
            *all = R::join(base, mine, all);
            (*mine, *base) = (*all, *all);
        }
        self.rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::rule::Ftrl;
    use super::*;

    #[test]
    fn joined_copies_have_the_changes_of_all_and_squares_add_up() {
        let all = Mutex::new(vec![[1.0f32, 3.0]]);
        let (mut a, mut b) = (Copied::of(&all), Copied::of(&all));
        a.mine[0] = [3.0, 5.0];
        b.mine[0] = [0.5, 5.0];
        a.join::<Ftrl>(&all);
        b.count::<Ftrl>(JOIN_ROWS - 1, &all);
        assert_eq!(b.mine[0], [0.5, 5.0]);
        b.count::<Ftrl>(1, &all);
        // 3² + (5² - 3²) + (5² - 3²).
        assert_eq!((b.mine[0][0], b.mine[0][1]), (2.5, 41f32.sqrt()));
    }
}
