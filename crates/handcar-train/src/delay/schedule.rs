//! Who pushes when: a story drawn from a seed, the same for every solver.

use handcar_base::{Rng, Seed};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Workers and how fast they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Team {
    /// How many there are.
    pub workers: usize,
    /// How many times as long the slowest takes for a batch as the fastest; the others lie between, evenly on a logarithmic scale.
    pub spread: f64,
    /// Seed of the paces and of how long each batch takes: between half and one and a half times its worker's mean.
    pub seed: u64,
}

/// A push: who made it, and at which clock its weights were pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Push {
    pub worker: usize,
    pub pulled: u64,
}

/// The first pushes of a team, in order: push `t` stands at `t - 1`. All begin by pulling at clock 0, and pull again after each push.
pub(super) fn schedule(team: &Team, pushes: usize) -> Vec<Push> {
    let mut paces = Rng::new(Seed(team.seed), 0);
    let mut workers: Vec<(f64, Rng)> = (0..team.workers)
        .map(|w| (team.spread.powf(paces.uniform()), Rng::new(Seed(team.seed), 1 + w as u64)))
        .collect();
    // Times are positive, so that their bits are in the order of the numbers; the worker's number parts equal ones.
    let mut next: BinaryHeap<Reverse<(u64, usize, u64)>> = BinaryHeap::with_capacity(team.workers);
    for (w, (pace, r)) in workers.iter_mut().enumerate() {
        next.push(Reverse(((*pace * (0.5 + r.uniform())).to_bits(), w, 0)));
    }
    let mut out = Vec::with_capacity(pushes);
    while out.len() < pushes
        && let Some(Reverse((at, worker, pulled))) = next.pop()
    {
        out.push(Push { worker, pulled });
        let (pace, r) = &mut workers[worker];
        let done = f64::from_bits(at) + *pace * (0.5 + r.uniform());
        next.push(Reverse((done.to_bits(), worker, out.len() as u64)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_one_story_and_nobody_pushes_what_was_not_pulled() {
        let team = Team { workers: 50, spread: 20.0, seed: 3 };
        let story = schedule(&team, 2000);
        assert_eq!(story, schedule(&team, 2000));
        assert_ne!(story, schedule(&Team { seed: 4, ..team }, 2000));
        let mut last = [0; 50];
        for (t, push) in (1..).zip(&story) {
            assert_eq!(push.pulled, std::mem::replace(&mut last[push.worker], t));
        }
    }

    #[test]
    fn one_worker_is_never_late_and_equal_ones_take_turns() {
        let one = schedule(&Team { workers: 1, spread: 5.0, seed: 1 }, 100);
        assert!((0..).zip(&one).all(|(t, p)| p.pulled == t));
        let even = schedule(&Team { workers: 10, spread: 1.0, seed: 1 }, 1000);
        let counts = (0..10).map(|w| even.iter().filter(|p| p.worker == w).count());
        assert!(counts.into_iter().all(|n| (85..115).contains(&n)));
    }

    #[test]
    fn the_slow_push_seldom() {
        let team = Team { workers: 100, spread: 50.0, seed: 2 };
        let story = schedule(&team, 5000);
        let mut counts: Vec<usize> = (0..100).map(|w| story.iter().filter(|p| p.worker == w).count()).collect();
        counts.sort_unstable();
        assert!(counts[95] > 20 * counts[5].max(1), "{counts:?}");
    }
}
