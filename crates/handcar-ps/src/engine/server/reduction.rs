//! Reductions: integers of all workers joined by the server that heads position 0.

use super::chain::Done;
use super::{Output, ServerEngine, origin};
use crate::message::{Answer, Millis, ReduceOp, Reply, Task};
use crate::peer::Change;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Words {
    pub worker: usize,
    pub task: Task,
    pub epoch: u64,
    pub op: ReduceOp,
    pub words: Vec<i64>,
}

impl ServerEngine {
    /// Tells the workers that came to a collective who did not come in time.
    pub(super) fn late(&mut self, now: Millis, out: &mut Vec<Output>) {
        fn tell(worker: usize, task: Task, epoch: u64, missing: &[u32]) -> Output {
            let answer = Answer::Late { missing: missing.to_vec() };
            Output::Reply { worker, reply: Reply { task, epoch, answer } }
        }
        for (came, missing) in self.reductions.late(now) {
            out.extend(came.into_iter().map(|c| tell(c.worker, c.task, c.epoch, &missing)));
        }
        for table in &mut self.tables {
            for (came, missing) in table.rounds.late(now) {
                out.extend(came.into_iter().map(|c| tell(c.worker, c.task, c.epoch, &missing)));
            }
        }
    }

    /// Takes one worker's integers; joins the rounds that are then complete.
    pub(super) fn reduce(&mut self, due: Millis, round: u64, item: Words, out: &mut Vec<Output>) -> Result<(), String> {
        if round < self.reduced_next {
            // It comes again: the answer was lost.
            let Some(kept) = self.reduced.iter().find(|k| k.round == round) else {
                return Err(format!("expected a reduction from {}, got {round}", self.reduced_next));
            };
            let reply = Reply { task: item.task, epoch: item.epoch, answer: answer(&kept.result) };
            self.answer_read(item.worker, reply, out);
            return Ok(());
        }
        let (next, worker) = (self.reduced_next, item.worker);
        self.reductions.arrive(next, round, worker, due, item, |a, b| a.task == b.task)?;
        loop {
            let next = self.reduced_next;
            let Some((round, items)) = self.reductions.take(|n, _| n == next) else { return Ok(()) };
            let words = join(&items);
            let tasks: Vec<Task> = items.iter().map(|i| i.task).collect();
            self.keep_reduced(round, tasks.clone(), words.clone());
            let update = self.passes_on(&origin()).then(|| {
                let change = Change::Reduced { round, words: words.clone(), tasks };
                self.update(Arc::new(origin()), change)
            });
            let reply = |i: &Words| Reply { task: i.task, epoch: i.epoch, answer: answer(&words) };
            let done = items.iter().map(|i| Done::Reply { worker: i.worker, reply: reply(i) }).collect();
            self.launch(update, done, out);
        }
    }
}

fn answer(words: &Result<Vec<i64>, String>) -> Answer {
    match words {
        Ok(words) => Answer::Reduced(words.clone()),
        Err(reason) => Answer::Refused(reason.clone()),
    }
}

fn join(items: &[Words]) -> Result<Vec<i64>, String> {
    let Some((first, rest)) = items.split_first() else { return Ok(Vec::new()) };
    let mut words = first.words.clone();
    for item in rest {
        if (item.op, item.words.len()) != (first.op, words.len()) {
            return Err(format!(
                "expected all workers to reduce alike: worker {} gave {} words ({:?}), worker {} {} ({:?})",
                first.worker,
                words.len(),
                first.op,
                item.worker,
                item.words.len(),
                item.op
            ));
        }
        for (a, &b) in words.iter_mut().zip(&item.words) {
            *a = match item.op {
                ReduceOp::Sum => a.wrapping_add(b),
                ReduceOp::Max => (*a).max(b),
            };
        }
    }
    Ok(words)
}
