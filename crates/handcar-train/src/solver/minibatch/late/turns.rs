//! Whose turn it is: counters that all workers share, so that each batch is taken once and each push knows how late it is.

use crate::error::{Result, TrainError};
use crate::solver::table_name;
use handcar_base::{Key, KeyList};
use handcar_ps::{TableId, Values, Worker};

/// The key that counts pushes. The batches that were taken in pass `p`, from 0, are counted by key `1 + p`.
const CLOCK: Key = 0;
/// More batches than any pass has.
const ENOUGH: i64 = 1 << 40;

/// A table of two counters. They live on servers like any others, with copies if the job has copies: a server that is lost
/// takes no count with it.
pub(super) struct Turns {
    table: TableId,
    /// The pass, from 1.
    pass: u64,
}

/// What the counters say after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Pushes so far, this one included.
    pub clock: u64,
    /// The last batch of the pass that was taken.
    pub batch: u64,
}

impl Turns {
    /// Collective.
    pub fn new(worker: &mut Worker, stage: usize) -> Result<Self> {
        let table = worker.create_table(&table_name("minibatch.turns", stage), "sum.i64", &[])?;
        Ok(Self { table, pass: 0 })
    }

    /// Begins a pass with the first `batches` that are free.
    pub fn begin(&mut self, worker: &mut Worker, batches: u64) -> Result<Turn> {
        self.pass += 1;
        self.count(worker, 0, batches as i64)
    }

    /// Counts a push, and takes another batch.
    pub fn next(&self, worker: &mut Worker) -> Result<Turn> {
        self.count(worker, 1, 1)
    }

    /// Takes all batches that are left, so that nobody does another.
    pub fn end(&self, worker: &mut Worker) -> Result<()> {
        self.count(worker, 0, ENOUGH).map(|_| ())
    }

    /// Pushes so far.
    pub fn clock(&self, worker: &mut Worker) -> Result<u64> {
        let pulled = worker.pull(self.table, &key_list(vec![CLOCK])?).wait()?.pulled;
        Ok(numbers::<1>(pulled)?[0] as u64)
    }

    fn count(&self, worker: &mut Worker, pushes: i64, batches: i64) -> Result<Turn> {
        let keys = key_list(vec![CLOCK, self.pass])?;
        let pulled = worker.push_pull(self.table, &keys, vec![pushes, batches]).immediate().wait()?.pulled;
        let [clock, taken] = numbers(pulled)?;
        Ok(Turn { clock: clock as u64, batch: taken as u64 - 1 })
    }
}

fn key_list(keys: Vec<Key>) -> Result<KeyList> {
    KeyList::new(keys).map_err(|e| TrainError::Data { expected: "the keys of two counters".into(), got: e.to_string() })
}

/// The counters of an answer: none is below 0.
fn numbers<const N: usize>(pulled: Option<Values>) -> Result<[i64; N]> {
    match pulled {
        Some(Values::I64(numbers)) if numbers.len() == N && numbers.iter().all(|&n| n >= 0) => {
            Ok(std::array::from_fn(|i| numbers[i]))
        }
        other => {
            let got = other.map_or("none".into(), |v| format!("{v:?}"));
            Err(TrainError::Answer { op: "turns", expected: format!("{N} counts"), got })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_ps::{Registry, driver::local};

    #[test]
    fn each_batch_is_taken_once_and_each_push_has_its_number() {
        let workers = local::cluster(3, 2, &Registry::new());
        let mut all: Vec<(Vec<u64>, Vec<u64>)> = std::thread::scope(|scope| {
            let work = |mut worker: Worker| {
                let mut turns = Turns::new(&mut worker, 0).unwrap();
                let (mut batches, mut clocks) = (Vec::new(), Vec::new());
                let first = turns.begin(&mut worker, 2).unwrap().batch;
                batches.extend([first - 1, first]);
                for _ in 0..20 {
                    let turn = turns.next(&mut worker).unwrap();
                    clocks.push(turn.clock);
                    batches.push(turn.batch);
                }
                worker.barrier().unwrap();
                assert_eq!(turns.clock(&mut worker).unwrap(), 60);
                worker.barrier().unwrap();
                turns.end(&mut worker).unwrap();
                assert!(turns.next(&mut worker).unwrap().batch > 1 << 40);
                worker.barrier().unwrap();
                // Another pass begins with its first batch; pushes are counted on.
                assert!(turns.begin(&mut worker, 1).unwrap().batch < 3);
                worker.finish().unwrap();
                (batches, clocks)
            };
            let running: Vec<_> = workers.into_iter().map(|w| scope.spawn(move || work(w))).collect();
            running.into_iter().map(|r| r.join().unwrap()).collect()
        });
        let (mut batches, mut clocks) = (Vec::new(), Vec::new());
        for (b, c) in &mut all {
            batches.append(b);
            clocks.append(c);
        }
        batches.sort_unstable();
        clocks.sort_unstable();
        assert_eq!(batches, (0..66).collect::<Vec<u64>>());
        assert_eq!(clocks, (1..=60).collect::<Vec<u64>>());
    }
}
