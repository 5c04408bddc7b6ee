//! The records of a worker's tasks, by number.

use super::{FINISHED_PUSHES_KEPT, WorkerEngine};
use crate::engine::task::{Outcome, Record, State};
use crate::error::{Error, Result};
use crate::message::Task;

impl WorkerEngine {
    /// Takes the outcome of a finished task; a second time it is empty.
    ///
    /// # Errors
    /// What made the task fail.
    pub fn take(&mut self, task: Task) -> Result<Outcome> {
        let Some(record) = self.record_mut(task) else { return Ok(Outcome::default()) };
        if let Some(told) = &mut record.overdue {
            return std::mem::replace(told, Ok(())).map(|()| Outcome::default());
        }
        if !matches!(record.state, State::Done(_)) {
            return Ok(Outcome::default());
        }
        let state = std::mem::replace(&mut record.state, State::Reaped);
        self.trim();
        if let State::Done(result) = state { result } else { Ok(Outcome::default()) }
    }

    /// Takes the failure of a task that nobody waited for.
    pub fn take_failure(&mut self) -> Option<Error> {
        let failure = |r: &mut Record| match (&mut r.overdue, &r.state) {
            (Some(told), _) => std::mem::replace(told, Ok(())).err(),
            (None, State::Done(Err(_))) => match std::mem::replace(&mut r.state, State::Reaped) {
                State::Done(result) => result.err(),
                _ => None,
            },
            _ => None,
        };
        self.failed.take().or_else(|| self.records.iter_mut().find_map(failure))
    }

    /// Forgets finished tasks nobody can want.
    pub(super) fn trim(&mut self) {
        loop {
            let old = self.records.len() > FINISHED_PUSHES_KEPT;
            let Some(front) = self.records.front_mut() else { return };
            match &front.state {
                State::Reaped => {}
                State::Done(Ok(outcome)) if old && outcome.pulled.is_none() => {}
                State::Done(Err(_)) if old => {
                    if let State::Done(Err(error)) = std::mem::replace(&mut front.state, State::Reaped) {
                        self.failed.get_or_insert(error);
                    }
                }
                _ => return,
            }
            self.records.pop_front();
            self.base += 1;
        }
    }

    pub(super) fn record(&self, task: Task) -> Option<&Record> {
        self.records.get(task.0.checked_sub(self.base)? as usize)
    }

    pub(super) fn record_mut(&mut self, task: Task) -> Option<&mut Record> {
        self.records.get_mut(task.0.checked_sub(self.base)? as usize)
    }
}
