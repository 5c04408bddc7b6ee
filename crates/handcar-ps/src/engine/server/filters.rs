//! A server's ends of a table's filter chains: pushes decoded before anything else happens to them, replies encoded.

use super::table::Table;
use crate::carried::{Carried, Coded, Form};
use crate::filter::{Chain, Context, Direction, FilterError, FilterRegistry, TableFilters};
use crate::message::{Answer, TableId, Task};
use crate::shard::Shape;
use crate::values::Values;
use handcar_base::{KeyList, Seed};
use std::sync::Arc;

/// One worker's chains.
#[derive(Debug, Default)]
struct Worker {
    push: Option<Chain>,
    pull: Option<Chain>,
    /// Replies encoded.
    replies: u64,
}

/// One table's chains, by worker. They live as long as a view: in the next one both ends begin anew.
#[derive(Debug)]
pub(super) struct Ends {
    registry: Arc<FilterRegistry>,
    pub filters: TableFilters,
    shape: Shape,
    /// Random numbers of one server's replies differ from another's.
    seed: Seed,
    workers: Vec<Worker>,
}

/// To whom an answer goes, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub id: TableId,
    pub worker: usize,
    pub form: Form,
}

fn chain(
    slot: &mut Option<Chain>,
    make: impl FnOnce() -> Result<Chain, FilterError>,
) -> Result<&mut Chain, FilterError> {
    match slot {
        Some(chain) => Ok(chain),
        None => Ok(slot.insert(make()?)),
    }
}

impl Ends {
    pub fn new(
        registry: &Arc<FilterRegistry>,
        filters: TableFilters,
        shape: Shape,
        server: usize,
        workers: usize,
    ) -> Self {
        let workers = (0..workers).map(|_| Worker::default()).collect();
        Self { registry: Arc::clone(registry), filters, shape, seed: Seed(server as u64), workers }
    }

    /// A new view: the workers know nothing, and nothing is known of them.
    /// Makes room for workers.
    pub fn resize(&mut self, workers: usize) {
        self.workers.resize_with(workers.max(self.workers.len()), Worker::default);
    }

    pub fn reset(&mut self) {
        self.workers.fill_with(Worker::default);
    }

    fn push(
        &mut self,
        worker: usize,
        cx: &Context<'_>,
        keys: &KeyList,
        bytes: &[u8],
    ) -> Result<(KeyList, Values), FilterError> {
        let Self { registry, filters, shape, workers, .. } = self;
        let make = || registry.table_chain(filters, Direction::Push, *shape);
        let got = chain(&mut workers[worker].push, make)?.decode(cx, keys, bytes)?;
        Ok((got.keys(keys), got.values))
    }

    fn reply(&mut self, asking: Asking, keys: &KeyList, values: Values) -> Result<Coded, FilterError> {
        let Self { registry, filters, shape, seed, workers } = self;
        let Asking { id, worker: rank, form } = asking;
        let worker = &mut workers[rank];
        worker.replies += 1;
        let chain = chain(&mut worker.pull, || registry.table_chain(filters, Direction::Pull, *shape))?;
        let whole = form == Form::Whole;
        if whole {
            chain.reset();
        }
        let number = worker.replies;
        let cx = Context::new(id, Task(number), Direction::Pull, rank as u32, *seed);
        let cx = Context { keys_named: true, flush: whole, ..cx };
        let bytes = chain.encode(&cx, keys, values)?;
        Ok(Coded { number, bytes: Arc::new(bytes) })
    }
}

impl Table {
    /// The keys and values of a push.
    ///
    /// # Errors
    /// The answer to give instead.
    #[expect(clippy::result_large_err, reason = "it is sent at once")]
    pub(super) fn pushed(
        &mut self,
        id: TableId,
        worker: usize,
        keys: &KeyList,
        carried: Carried,
    ) -> Result<(KeyList, Values), Box<Answer>> {
        let shape = self.shard.shape();
        let fits = |rows: usize, values: &Values| {
            let numbers = rows.saturating_mul(shape.push_width as usize);
            if (values.dtype(), values.len()) == (shape.push, numbers) {
                return Ok(());
            }
            let (got, dtype) = (values.len(), values.dtype());
            Err(Box::new(Answer::Refused(format!("expected {numbers} {} values, got {got} {dtype}", shape.push))))
        };
        match carried {
            Carried::Plain(values) => fits(keys.len(), &values).map(|()| (keys.clone(), values)),
            Carried::Part { rows, values } => {
                fits(rows.count(), &values)?;
                if rows.len() != keys.len() {
                    let (want, got) = (keys.len(), rows.len());
                    return Err(Box::new(Answer::Refused(format!("expected a part of {want} keys, got one of {got}"))));
                }
                let received = crate::filter::Received { rows, values };
                Ok((received.keys(keys), received.values))
            }
            Carried::Coded(coded) => {
                let cx = Context::new(id, Task(coded.number), Direction::Push, worker as u32, Seed(0));
                self.ends.push(worker, &cx, keys, &coded.bytes).map_err(|e| {
                    Box::new(match e {
                        FilterError::Behind { .. } => Answer::Behind,
                        FilterError::Unfit { .. } => Answer::Refused(e.to_string()),
                    })
                })
            }
        }
    }

    /// The values of keys, as a worker wants them.
    pub(super) fn answer(&mut self, asking: Asking, keys: &KeyList, buffer: Option<Values>) -> Option<Carried> {
        let values = self.read(keys, buffer)?;
        if asking.form == Form::Plain {
            return Some(Carried::Plain(values));
        }
        let kept = values.clone();
        match self.ends.reply(asking, keys, values) {
            Ok(coded) => Some(Carried::Coded(coded)),
            Err(error) => {
                // What a filter cannot carry, infinity say, passes by it.
                tracing::debug!(%error, "a reply passes by its filters");
                Some(Carried::Plain(kept))
            }
        }
    }
}
