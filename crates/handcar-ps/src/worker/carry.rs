//! How a worker's calls are carried: messages between its engine and its link, for as long as a call waits.

use super::Worker;
use crate::engine::task::{Submission, Work};
use crate::engine::worker::{Input, Output, WorkerEngine};
use crate::error::Result;
use crate::message::Task;

impl Worker {
    pub(crate) fn submit(&mut self, submission: Submission) -> Result<Task> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if !matches!(submission.work, Work::Reduce { .. } | Work::Portion { .. }) {
            let table = submission.table;
            self.pump_until(|engine| engine.blocker(table).is_none())?;
        }
        let now = self.link.now();
        let task = self.engine.submit(now, submission, &mut self.outbox)?;
        self.forward()?;
        Ok(task)
    }

    /// Carries messages until a condition holds.
    pub(super) fn pump_until(&mut self, done: impl Fn(&WorkerEngine) -> bool) -> Result<()> {
        self.pump(None, done).map(|_| ())
    }

    /// Carries messages until a condition holds, at most for some milliseconds; whether it holds.
    pub(super) fn pump(&mut self, millis: Option<u64>, done: impl Fn(&WorkerEngine) -> bool) -> Result<bool> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let end = millis.map(|ms| self.link.now().plus(ms));
        while !done(&self.engine) {
            let due = self.engine.next_due().unwrap_or(self.link.now());
            let received = self.link.receive(end.map_or(due, |end| due.min(end)), &mut self.inbox);
            self.keep(received)?;
            let now = self.link.now();
            let mut inbox = std::mem::take(&mut self.inbox);
            for input in inbox.drain(..) {
                let stepped = self.engine.step(now, input, &mut self.outbox);
                self.keep(stepped)?;
            }
            self.inbox = inbox;
            if now >= due {
                let stepped = self.engine.step(now, Input::Tick, &mut self.outbox);
                self.keep(stepped)?;
            }
            self.forward()?;
            if end.is_some_and(|end| now >= end) {
                return Ok(done(&self.engine));
            }
        }
        Ok(true)
    }

    fn forward(&mut self) -> Result<()> {
        let mut outbox = std::mem::take(&mut self.outbox);
        for Output { server, request } in outbox.drain(..) {
            let sent = self.link.send(server, request);
            if let Some(request) = self.keep(sent)? {
                let now = self.link.now();
                let stepped = self.engine.step(now, Input::Sent { server, request }, &mut self.outbox);
                self.keep(stepped)?;
            }
        }
        // `Sent` asks for nothing, so the drained vector may go back for its memory.
        debug_assert!(self.outbox.is_empty());
        self.outbox = outbox;
        self.link.report_progress(self.engine.progress());
        Ok(())
    }

    /// Remembers the first error of the driver: it ends the job for this worker.
    fn keep<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }
}
