//! Portions: pieces of a pass, given to whoever is free.

use super::Worker;
use crate::engine::task::{Submission, Work};
use crate::error::{Error, Result};
use crate::message::{TableId, Task};
use crate::portion::{Given, Portion};

/// While others do what is left of a pass, a free worker asks so often whether there is something to do.
const PORTION_RETRY_MS: u64 = 20;

impl Worker {
    /// A piece of the work of a pass that is cut into `portions`; `None` once all of them are finished. Asking for the next
    /// one says that the last one is finished: its tasks are waited for first.
    ///
    /// Whoever is free is given work. What a lost worker had goes to another, and late in a pass a slow worker's portion is
    /// given to a second one as well. Pushes [made for a portion](Transfer::portion) count once all the same. Passes are
    /// numbered by the program; one begins when the one before is over, and all workers name the same count.
    ///
    /// ```
    /// use handcar_base::KeyList;
    /// use handcar_ps::{Registry, driver::local};
    /// let mut worker = local::cluster(1, 2, &Registry::new()).remove(0);
    /// let table = worker.create_table("words", "sum.i64", &[])?;
    /// let keys = KeyList::new(vec![7]).unwrap();
    /// while let Some(portion) = worker.next_portion(0, 10)? {
    ///     worker.push(table, &keys, vec![portion.index as i64]).portion(portion).submit()?;
    /// }
    /// assert_eq!(worker.pull(table, &keys).wait()?.pulled, Some(vec![45i64].into()));
    /// # worker.finish()?;
    /// # Ok::<(), handcar_ps::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Refused`] if other workers named another count or are at an earlier pass; [`Error::Deadline`] if the others
    /// do not finish theirs in time; a failure of the last portion's tasks that nobody took; what ended the job.
    pub fn next_portion(&mut self, pass: u64, portions: u32) -> Result<Option<Portion>> {
        self.pump_until(|engine| !engine.busy())?;
        let deadline_ms = self.engine.params().deadline_ms;
        let until = self.link.now().plus(deadline_ms);
        loop {
            let task = self.submit_portion(pass, portions)?;
            self.pump_until(|engine| engine.finished(task))?;
            match self.take_portion(task)? {
                Given::Portion(index) => return Ok(Some(Portion { pass, index })),
                Given::Over => return Ok(None),
                Given::Later { busy } if self.link.now() >= until => {
                    let names: Vec<_> = busy.iter().map(|w| format!("worker {w}")).collect();
                    let waiting_for = format!("{} to finish their portions", names.join(", "));
                    return Err(Error::Deadline { op: "next_portion", deadline_ms, waiting_for });
                }
                Given::Later { .. } => drop(self.pump(Some(PORTION_RETRY_MS), |_| false)?),
            }
        }
    }

    /// Starts to ask for a portion, as [`next_portion`](Self::next_portion) does; [`take_portion`](Self::take_portion) has
    /// the answer when the task has finished.
    ///
    /// # Errors
    /// [`Error::Argument`] if a task is unfinished; a failure that nobody took; what ended the job.
    pub fn submit_portion(&mut self, pass: u64, portions: u32) -> Result<Task> {
        if self.engine.busy() {
            return Err(Error::argument(
                "next_portion",
                "all tasks of the last portion to be finished",
                "some that are not",
            ));
        }
        if let Some(failure) = self.engine.take_failure() {
            return Err(failure);
        }
        let finished = self.portion.filter(|held| held.pass == pass).map(|held| held.index);
        let work = Work::Portion { pass, portions, finished };
        let task = self.submit(Submission { table: TableId(0), after: Vec::new(), work })?;
        self.asked = Some((task, pass));
        Ok(task)
    }

    /// What a task of [`submit_portion`](Self::submit_portion) was given: once.
    ///
    /// # Errors
    /// What made the task fail.
    pub fn take_portion(&mut self, task: Task) -> Result<Given> {
        let pass = self.asked.take_if(|asked| asked.0 == task).map(|asked| asked.1);
        let (Some(pass), Some(given)) = (pass, self.engine.take(task)?.given) else {
            return Err(Error::argument("next_portion", "the task that asked for it, finished", "another one"));
        };
        self.portion = match given {
            Given::Portion(index) => Some(Portion { pass, index }),
            _ => None,
        };
        Ok(given)
    }
}
