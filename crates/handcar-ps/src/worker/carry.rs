//! How a worker's calls are carried: messages between its engine and its link, for as long as a call waits.

use super::Worker;
use crate::engine::task::{Submission, Work};
use crate::engine::worker::{Input, Output, WorkerEngine};
use crate::error::{Error, Result};
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
        // Found here it ends this call; found by the link it would end the job.
        let (most, (op, bytes)) = (self.link.small_bytes_max(), submission.work.small_bytes());
        if bytes > most {
            let expected = format!("at most {most} bytes of arguments, parameters or entries");
            return Err(Error::argument(op, expected, bytes.to_string()));
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
            // Without an open task nothing runs out of time: a caller that only lets time pass must not spin meanwhile.
            let due = self.engine.next_due().or(end).unwrap_or(self.link.now());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::View;
    use crate::engine::worker::WorkerParams;
    use crate::link::{Link, Stats};
    use crate::message::{Millis, Request};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Nobody ever says anything here; time passes with every look, or when it is waited for.
    struct Silence {
        now: Millis,
        looks: Arc<AtomicU64>,
    }

    impl Link for Silence {
        fn now(&self) -> Millis {
            self.now
        }

        fn send(&mut self, _: usize, _: Request) -> Result<Option<Request>> {
            Ok(None)
        }

        fn receive(&mut self, until: Millis, _: &mut Vec<Input>) -> Result<()> {
            self.looks.fetch_add(1, Ordering::Relaxed);
            self.now = self.now.plus(1).max(until);
            Ok(())
        }

        fn finish(&mut self) -> Result<()> {
            Ok(())
        }

        fn stats(&self) -> Stats {
            Stats::default()
        }
    }

    #[test]
    fn letting_time_pass_without_a_task_does_not_spin() {
        let params = WorkerParams {
            workers: 1,
            deadline_ms: 1000,
            resend_ms: None,
            shared_memory: false,
            plan_bytes_max: 0,
            key_cache_bytes_max: 0,
        };
        let view = Arc::new(View::first(BTreeMap::from([(0, String::new())]), 1));
        let looks = Arc::new(AtomicU64::new(0));
        let link = Silence { now: Millis(5), looks: Arc::clone(&looks) };
        let mut worker = Worker::new(0, WorkerEngine::new(params, view), Box::new(link));
        assert_eq!(worker.pump(Some(20), |_| false), Ok(false));
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        assert_eq!(worker.link.now(), Millis(25));
    }
}
