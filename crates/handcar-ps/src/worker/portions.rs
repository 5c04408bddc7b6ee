//! Portions: pieces of a pass, given to whoever is free.

use super::Worker;
use crate::engine::task::{Submission, Work};
use crate::error::{Error, Result};
use crate::message::TableId;
use crate::portion::{Given, Portion};

/// While others do what is left of a pass, a free worker asks so often whether there is something to do.
const PORTION_RETRY_MS: u64 = 20;

impl Worker {
    /// A piece of the work of a pass that is cut into `portions`; `None` once all of them are finished. Asking for the next
    /// one says that the last one is finished: its tasks are waited for first.
    ///
    /// Whoever is free is given work. What a lost worker had goes to another, and late in a pass a slow worker's portion is
    /// given to a second one as well. Pushes [made for a portion](crate::Transfer::portion) count once all the same. Passes are
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
        let deadline_ms = self.engine.params().deadline_ms;
        let until = self.link.now().plus(deadline_ms);
        loop {
            match self.next_portion_for(pass, portions, PORTION_RETRY_MS)? {
                Some(Given::Portion(index)) => return Ok(Some(Portion { pass, index })),
                Some(Given::Over) => return Ok(None),
                Some(Given::Later { busy }) if self.link.now() >= until => {
                    let names: Vec<_> = busy.iter().map(|w| format!("worker {w}")).collect();
                    let waiting_for = format!("{} to finish their portions", names.join(", "));
                    return Err(Error::Deadline { op: "next_portion", deadline_ms, waiting_for });
                }
                Some(Given::Later { .. }) | None => {}
            }
        }
    }

    /// Waits at most `millis` for a [`next_portion`](Self::next_portion): what this worker is given, or `None` if it is
    /// still waiting for its own tasks or the answer. Repeat it with the same numbers.
    ///
    /// # Errors
    /// As [`next_portion`](Self::next_portion); [`Error::Argument`] for other numbers than those that still wait for their
    /// answer.
    pub fn next_portion_for(&mut self, pass: u64, portions: u32, millis: u64) -> Result<Option<Given>> {
        let end = self.link.now().plus(millis);
        loop {
            let left = end.since(self.link.now());
            let task = match self.asked {
                Some((task, asked)) if asked == (pass, portions) => task,
                Some((_, (pass, portions))) => {
                    let expected = format!("pass {pass} of {portions} portions, which was asked for before");
                    return Err(Error::argument("next_portion", expected, "another"));
                }
                None => {
                    if !self.idle_within(left)? {
                        return Ok(None);
                    }
                    if let Some(failure) = self.engine.take_failure() {
                        // Asked again, this worker must not say that it has finished what failed.
                        self.portion = None;
                        return Err(failure);
                    }
                    let finished = self.portion.filter(|held| held.pass == pass).map(|held| held.index);
                    let work = Work::Portion { pass, portions, finished };
                    let task = self.submit(Submission { table: TableId(0), after: Vec::new(), work })?;
                    self.asked = Some((task, (pass, portions)));
                    task
                }
            };
            if !self.pump(Some(end.since(self.link.now())), |engine| engine.finished(task))? {
                return Ok(None);
            }
            self.asked = None;
            let given = self.engine.take(task)?.given.unwrap_or(Given::Over);
            self.portion = match given {
                Given::Portion(index) => Some(Portion { pass, index }),
                _ => None,
            };
            let left = end.since(self.link.now());
            if left == 0 || !matches!(given, Given::Later { .. }) {
                return Ok(Some(given));
            }
            self.pump(Some(left.min(PORTION_RETRY_MS)), |_| false)?;
        }
    }
}
