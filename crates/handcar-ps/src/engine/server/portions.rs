//! Who does which portion of a pass. Kept by the chain of position 0.

use super::chain::Done;
use super::{Output, ServerEngine, origin};
use crate::message::{Answer, Millis, Reply, Task};
use crate::peer::Change;
use crate::portion::{Given, PORTIONS_MAX, Progress, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Workers on one portion at most.
const RUNNERS_MAX: usize = 2;
/// A portion is given a second time once it has taken so many times what half of the others took.
const SLOW: u64 = 2;

/// The work on the latest pass.
#[derive(Debug, Default)]
pub(super) struct Portions {
    pass: u64,
    count: u32,
    finished: BTreeSet<u32>,
    /// By portion: who works on it, since when.
    running: BTreeMap<u32, Vec<(usize, Millis)>>,
    /// By worker: the task of its last grant, and the portion.
    last: BTreeMap<usize, (Task, u32)>,
    /// How long portions took, in milliseconds, ascending.
    took: Vec<u64>,
}

impl Portions {
    fn over(&self) -> bool {
        self.finished.len() == self.count as usize
    }

    /// What a worker shall do next.
    fn next(&self, now: Millis, worker: usize) -> Given {
        if self.over() {
            return Given::Over;
        }
        // One that this worker was given before and has not finished counts as nobody's.
        let own = |by: &Vec<(usize, Millis)>| by.iter().all(|r| r.0 == worker);
        let untouched = |n: &u32| !self.finished.contains(n) && self.running.get(n).is_none_or(own);
        if let Some(index) = (0..self.count).find(untouched) {
            return Given::Portion(index);
        }
        let slow_ms = self.took.get(self.took.len() / 2).map_or(u64::MAX, |median| (SLOW * median).max(1));
        let slow = |(index, by): (&u32, &Vec<(usize, Millis)>)| {
            let since = by.iter().map(|r| r.1).min()?;
            let free = by.len() < RUNNERS_MAX && by.iter().all(|r| r.0 != worker);
            (free && now.since(since) >= slow_ms).then_some((since, *index))
        };
        if let Some((_, index)) = self.running.iter().filter_map(slow).min() {
            return Given::Portion(index);
        }
        let mut busy: Vec<u32> = self.running.values().flatten().map(|r| r.0 as u32).collect();
        busy.sort_unstable();
        busy.dedup();
        Given::Later { busy }
    }

    pub fn apply(&mut self, now: Millis, progress: &Progress) {
        let Progress { pass, portions, finished, given } = progress;
        if *pass < self.pass {
            return;
        }
        if *pass > self.pass || self.count == 0 {
            let last = std::mem::take(&mut self.last);
            *self = Self { pass: *pass, count: *portions, last, ..Self::default() };
        }
        if let Some(index) = finished
            && self.finished.insert(*index)
            && let Some(by) = self.running.remove(index)
            && let Some(since) = by.iter().map(|r| r.1).min()
        {
            let took = now.since(since);
            self.took.insert(self.took.partition_point(|&t| t < took), took);
        }
        if let Some((worker, task, index)) = given
            && self.last.get(worker).is_none_or(|last| last.0 < *task)
        {
            self.last.insert(*worker, (*task, *index));
            let by = self.running.entry(*index).or_default();
            if by.iter().all(|r| r.0 != *worker) && !self.finished.contains(index) {
                by.push((*worker, now));
            }
            if by.is_empty() {
                self.running.remove(index);
            }
        }
    }

    /// Takes back what workers that are gone had been given.
    pub fn keep(&mut self, workers: &BTreeSet<usize>) {
        self.running.retain(|_, by| {
            by.retain(|r| workers.contains(&r.0));
            !by.is_empty()
        });
        self.last.retain(|worker, _| workers.contains(worker));
    }

    pub fn to_work(&self) -> Work {
        Work {
            pass: self.pass,
            portions: self.count,
            finished: self.finished.iter().copied().collect(),
            running: self.running.iter().flat_map(|(&n, by)| by.iter().map(move |r| (n, r.0))).collect(),
            last: self.last.iter().map(|(&worker, &(task, index))| (worker, task, index)).collect(),
        }
    }

    /// Times are the receiver's own: only how long something has taken counts.
    pub fn of_work(now: Millis, work: &Work) -> Self {
        let mut running: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        for &(index, worker) in &work.running {
            running.entry(index).or_default().push((worker, now));
        }
        Self {
            pass: work.pass,
            count: work.portions,
            finished: work.finished.iter().copied().collect(),
            running,
            last: work.last.iter().map(|&(worker, task, index)| (worker, (task, index))).collect(),
            took: Vec::new(),
        }
    }
}

/// A worker's wish for work.
pub(super) struct Wish {
    pub worker: usize,
    pub task: Task,
    pub epoch: u64,
    pub pass: u64,
    pub portions: u32,
    pub finished: Option<u32>,
}

impl ServerEngine {
    /// Takes note of a finished portion and gives the next.
    pub(super) fn give(&mut self, wish: Wish, out: &mut Vec<Output>) -> Result<(), String> {
        let Wish { worker, task, epoch, pass, portions, finished } = wish;
        if portions == 0 || portions > PORTIONS_MAX {
            return Err(format!("expected 1 to {PORTIONS_MAX} portions, got {portions}"));
        }
        if let Some(index) = finished.filter(|&n| n >= portions) {
            return Err(format!("expected a portion below {portions}, got {index}"));
        }
        let state = &self.portions;
        let begun = state.count > 0;
        let given = if begun && pass < state.pass {
            Given::Over
        } else if begun && pass == state.pass && portions != state.count {
            return Err(format!("expected {} portions in pass {pass} as others said, got {portions}", state.count));
        } else if begun && pass > state.pass && !state.over() {
            return Err(format!("expected pass {}, which is not over, got {pass}", state.pass));
        } else if let Some(&(_, index)) = state.last.get(&worker).filter(|last| last.0 == task) {
            // It asks again: the answer was lost.
            Given::Portion(index)
        } else {
            let finish = Progress { pass, portions, finished, given: None };
            self.portions.apply(self.now, &finish);
            let given = self.portions.next(self.now, worker);
            let grant = match given {
                Given::Portion(index) => Some((worker, task, index)),
                _ => None,
            };
            let progress = Progress { given: grant, ..finish };
            self.portions.apply(self.now, &progress);
            let reply = Reply { task, epoch, answer: Answer::Given(given) };
            let update = self.passes_on(&origin()).then(|| self.update(Arc::new(origin()), Change::Progress(progress)));
            self.launch(update, vec![Done::Reply { worker, reply }], out);
            return Ok(());
        };
        let reply = Reply { task, epoch, answer: Answer::Given(given) };
        self.answer_read(worker, reply, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(p: &mut Portions, now: u64, worker: usize, task: u64, finished: Option<u32>) -> Given {
        let finish = Progress { pass: 1, portions: 3, finished, given: None };
        p.apply(Millis(now), &finish);
        let given = p.next(Millis(now), worker);
        if let Given::Portion(index) = given {
            p.apply(Millis(now), &Progress { given: Some((worker, Task(task), index)), ..finish });
        }
        given
    }

    #[test]
    fn portions_go_to_who_is_free_and_slow_ones_to_a_second_worker() {
        let mut p = Portions::default();
        assert_eq!(ask(&mut p, 0, 0, 1, None), Given::Portion(0));
        assert_eq!(ask(&mut p, 0, 1, 1, None), Given::Portion(1));
        assert_eq!(ask(&mut p, 100, 1, 2, Some(1)), Given::Portion(2));
        assert_eq!(ask(&mut p, 190, 1, 3, Some(2)), Given::Later { busy: vec![0] }, "0 is not slow yet");
        assert_eq!(ask(&mut p, 200, 1, 4, None), Given::Portion(0));
        assert_eq!(ask(&mut p, 900, 2, 1, None), Given::Later { busy: vec![0, 1] }, "two do it already");
        assert_eq!(ask(&mut p, 901, 1, 5, Some(0)), Given::Over);
        assert_eq!(ask(&mut p, 902, 0, 2, Some(0)), Given::Over);
    }

    #[test]
    fn what_a_lost_worker_had_goes_to_another() {
        let mut p = Portions::default();
        for (worker, index) in [(0, 0), (1, 1), (2, 2)] {
            assert_eq!(ask(&mut p, 0, worker, 1, None), Given::Portion(index));
        }
        p.keep(&[0, 2].into());
        assert_eq!(ask(&mut p, 5, 0, 2, Some(0)), Given::Portion(1));
        let copy = Portions::of_work(Millis(9), &p.to_work());
        assert_eq!(copy.to_work(), p.to_work());
    }
}
