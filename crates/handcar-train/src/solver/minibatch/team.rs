//! Threads that go through the batches of a pass in step.

use std::ops::AddAssign;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Turns of waiting before a thread lets others have its core.
const SPINS: u32 = 4000;

/// Where all threads of a team meet; it spins, since a batch is shorter than a sleep and an awakening. `M`: the margins of a row.
pub(super) struct Meeting<M = i64> {
    members: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    /// A member has panicked and will never come.
    broken: AtomicBool,
    /// The batch that is not done any more.
    stop_at: AtomicU64,
    /// Margins of each member's keys, for an even batch and for an odd one: who is a batch ahead must not overwrite what
    /// others still read.
    margins: Vec<[RwLock<Vec<M>>; 2]>,
}

/// Tells the others when its thread panics.
pub(super) struct Presence<'a>(&'a AtomicBool);

impl Presence<'_> {
    /// Tells the others not to wait for members that will not come.
    pub fn give_up(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

impl<M: Copy + Default + AddAssign> Meeting<M> {
    pub fn new(members: usize, batch_rows: usize) -> Self {
        let margins = || std::array::from_fn(|_| RwLock::new(vec![M::default(); batch_rows]));
        Self {
            members,
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            stop_at: AtomicU64::new(u64::MAX),
            margins: (0..members).map(|_| margins()).collect(),
        }
    }

    pub fn present(&self) -> Presence<'_> {
        Presence(&self.broken)
    }

    /// Writes a member's margins of a batch.
    pub fn write(&self, member: usize, batch: u64, with: impl FnOnce(&mut [M])) {
        // Poison is told by `broken`; the numbers are not used then.
        let lock = &self.margins[member][batch as usize % 2];
        with(&mut lock.write().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// The margins of a batch, of all members.
    pub fn sum(&self, batch: u64, out: &mut [M]) {
        for (member, lock) in self.margins.iter().enumerate() {
            let part = lock[batch as usize % 2].read().unwrap_or_else(std::sync::PoisonError::into_inner);
            match member {
                0 => out.copy_from_slice(&part[..out.len()]),
                _ => out.iter_mut().zip(&*part).for_each(|(o, &p)| *o += p),
            }
        }
    }

    /// Waits until all members are here; whether they go on with this batch.
    pub fn wait(&self, batch: u64) -> bool {
        if self.members > 1 {
            let round = self.round.load(Ordering::Acquire);
            if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.members {
                self.arrived.store(0, Ordering::Relaxed);
                self.round.store(round.wrapping_add(1), Ordering::Release);
            } else {
                let mut turns = 0;
                while self.round.load(Ordering::Acquire) == round {
                    if self.broken.load(Ordering::Acquire) {
                        return false;
                    }
                    turns += 1;
                    if turns < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
                }
            }
        }
        batch < self.stop_at.load(Ordering::Acquire) && !self.broken.load(Ordering::Acquire)
    }

    /// Ends the pass before a batch that nobody has waited for yet: all members hear of it as they wait for that batch.
    pub fn stop_at(&self, batch: u64) {
        self.stop_at.store(batch, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_see_each_others_margins_and_stop_together() {
        let meeting = Meeting::new(3, 2);
        std::thread::scope(|scope| {
            for member in 0..3 {
                let meeting = &meeting;
                scope.spawn(move || {
                    let _here = meeting.present();
                    for batch in 0.. {
                        meeting.write(member, batch, |m| m.copy_from_slice(&[batch as i64, member as i64]));
                        if !meeting.wait(batch) {
                            assert_eq!(batch, 500);
                            break;
                        }
                        let mut all = [0; 2];
                        meeting.sum(batch, &mut all);
                        assert_eq!(all, [3 * batch as i64, 3]);
                        if member == 0 && batch == 499 {
                            meeting.stop_at(500);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn nobody_waits_for_a_member_that_panicked() {
        let meeting = Meeting::<i64>::new(2, 1);
        let result = std::thread::scope(|scope| {
            let lost = scope.spawn(|| {
                let _here = meeting.present();
                panic!("a bug");
            });
            assert!(!meeting.wait(0));
            lost.join()
        });
        assert!(result.is_err());
    }
}
