//! Whose turn it is: counters that all workers share, so that each batch is taken once and each push knows how late it is.

use super::counter;
use crate::error::{Result, TrainError};
use crate::solver::table_name;
use handcar_base::{Key, KeyList};
use handcar_ps::{TableId, Values, Worker};

/// The key that counts pushes. The batches that were taken in pass `p`, from 0, are counted by key `1 + p`.
const CLOCK: Key = 0;
/// More batches than any pass has.
const ENOUGH: i64 = 1 << 40;

/// A table of two [counters](super::counter). They live on servers like any others, with copies if the job has copies: a server that is
/// lost takes no count with it, and who asks again is told the same.
pub(super) struct Turns {
    table: TableId,
    rank: usize,
    workers: usize,
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
        let (rank, workers) = (worker.rank(), worker.workers());
        let name = table_name(counter::NAME, stage);
        let table = worker.create_table(&name, counter::NAME, &(workers as u64).to_le_bytes())?;
        Ok(Self { table, rank, workers, pass: 0 })
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
        Ok(self.numbers::<1>(pulled, 0)?[0] as u64)
    }

    fn count(&self, worker: &mut Worker, pushes: i64, batches: i64) -> Result<Turn> {
        let keys = key_list(vec![CLOCK, self.pass])?;
        let rank = self.rank as i64;
        let push = vec![pushes, rank, batches, rank];
        let pulled = worker.push_pull(self.table, &keys, push).immediate().wait()?.pulled;
        let [clock, taken] = self.numbers(pulled, 1 + self.rank)?;
        Ok(Turn { clock: clock as u64, batch: (taken as u64).saturating_sub(1) })
    }

    /// The number at a place of each counter's answer: none is below 0.
    fn numbers<const N: usize>(&self, pulled: Option<Values>, at: usize) -> Result<[i64; N]> {
        let width = 1 + self.workers;
        match pulled {
            Some(Values::I64(all)) if all.len() == N * width && all.iter().all(|&n| n >= 0) => {
                Ok(std::array::from_fn(|i| all[i * width + at]))
            }
            other => {
                let got = other.map_or("none".into(), |v| format!("{v:?}"));
                Err(TrainError::Answer { op: "turns", expected: format!("{N} counters"), got })
            }
        }
    }
}

fn key_list(keys: Vec<Key>) -> Result<KeyList> {
    KeyList::new(keys).map_err(|e| TrainError::Data { expected: "the keys of two counters".into(), got: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_ps::{Registry, driver::local};

    fn registry() -> Registry {
        let mut registry = Registry::new();
        counter::register(&mut registry);
        registry
    }

    #[test]
    fn each_batch_is_taken_once_and_each_push_has_its_number() {
        let workers = local::cluster(3, 2, &registry());
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
