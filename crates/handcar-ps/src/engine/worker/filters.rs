//! A worker's ends of a table's filter chains: pushes are encoded once, replies decoded.
//!
//! What was encoded stays encoded: sent again it is the same bytes, and after a change of view its decoded form is cut
//! anew and passes by the filters. So whatever a filter held back or rounded, a push that may have been applied already is
//! sent again as the same push.

use super::WorkerEngine;
use crate::carried::{Carried, Coded, Form, Through};
use crate::engine::task::{Running, Work};
use crate::error::{Error, Result};
use crate::filter::{Chain, Context, Direction, FilterError, FilterRegistry, Received, Rows, Saved, TableFilters};
use crate::message::{TableId, Task};
use crate::shard::Shape;
use crate::values::Values;
use handcar_base::{KeyList, Seed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an answer brought.
pub(super) enum Arrived {
    Values(Values),
    /// It builds on one that is missing, and its values are to be asked for again, whole.
    Behind,
    /// It builds on one that is missing, and was under way before its values were asked for again: nothing.
    Late,
}

/// One table's chains, by server.
#[derive(Debug)]
pub(super) struct Ends {
    registry: Arc<FilterRegistry>,
    filters: TableFilters,
    shape: Shape,
    push: BTreeMap<usize, Chain>,
    pull: BTreeMap<usize, Chain>,
    /// Whether pushes go through a chain at all.
    pub pushes: bool,
    /// Whether replies do.
    pub pulls: bool,
    /// Whether they arrive as they were.
    pub pull_is_exact: bool,
    /// The arguments of the last push, for those of a flush.
    pub args: Vec<u8>,
}

impl Ends {
    /// The ends of a new table; with `shared_memory` chains that only save bytes are left out.
    pub fn new(
        registry: &Arc<FilterRegistry>,
        filters: TableFilters,
        shape: Shape,
        shared_memory: bool,
    ) -> std::result::Result<Self, FilterError> {
        let used = |direction| {
            let chain = registry.table_chain(&filters, direction, shape)?;
            Ok((!(chain.is_empty() || shared_memory && chain.is_exact()), chain.is_exact()))
        };
        let ((pushes, _), (pulls, pull_is_exact)) = (used(Direction::Push)?, used(Direction::Pull)?);
        let (push, pull) = (BTreeMap::new(), BTreeMap::new());
        let (registry, args) = (Arc::clone(registry), Vec::new());
        Ok(Self { registry, filters, shape, push, pull, pushes, pulls, pull_is_exact, args })
    }

    fn chain(&self, direction: Direction) -> std::result::Result<Chain, FilterError> {
        self.registry.table_chain(&self.filters, direction, self.shape)
    }

    fn encode(
        &mut self,
        cx: &Context<'_>,
        server: usize,
        keys: &KeyList,
        values: Values,
    ) -> std::result::Result<Vec<u8>, FilterError> {
        if !self.push.contains_key(&server) {
            self.push.insert(server, self.chain(Direction::Push)?);
        }
        match self.push.get_mut(&server) {
            Some(chain) => chain.encode(cx, keys, values),
            None => unreachable!("it was made above"),
        }
    }

    fn decode(
        &mut self,
        cx: &Context<'_>,
        server: usize,
        keys: &KeyList,
        bytes: &[u8],
    ) -> std::result::Result<Values, FilterError> {
        if !self.pull.contains_key(&server) {
            self.pull.insert(server, self.chain(Direction::Pull)?);
        }
        let received = match self.pull.get_mut(&server) {
            Some(chain) => chain.decode(cx, keys, bytes)?,
            None => unreachable!("it was made above"),
        };
        if !received.rows.is_all() {
            let (expected, got) = (format!("values of all {} keys", keys.len()), received.rows.count().to_string());
            return Err(FilterError::Behind { filter: "chain".into(), expected, got });
        }
        Ok(received.values)
    }

    /// What the server makes of a push. Decoders that know earlier messages cannot say.
    fn effect(&self, cx: &Context<'_>, keys: &KeyList, bytes: &[u8]) -> std::result::Result<Received, FilterError> {
        self.chain(Direction::Push)?.decode(cx, keys, bytes)
    }

    /// Forgets what servers are believed to know, of one server or of all.
    pub fn reset(&mut self, server: Option<usize>) {
        let chosen = |at: &usize| server.is_none_or(|s| s == *at);
        let chains = self.push.iter_mut().chain(&mut self.pull);
        chains.filter(|(at, _)| chosen(at)).for_each(|(_, chain)| chain.reset());
    }

    /// Bytes before and after each filter.
    pub fn saved(&self) -> impl Iterator<Item = Saved> + '_ {
        self.push.values().chain(self.pull.values()).flat_map(Chain::saved)
    }
}

/// What is wrong with a table's filters.
pub(super) fn unfit(op: &'static str, error: FilterError) -> Error {
    let (FilterError::Unfit { filter, expected, got } | FilterError::Behind { filter, expected, got }) = error;
    Error::argument(op, format!("{expected} (filter {filter})"), got)
}

impl WorkerEngine {
    /// Chooses the filters known and the seed of what they draw; the built-in ones and seed 0 unless this is called.
    #[must_use]
    pub fn with_filters(mut self, filters: FilterRegistry, seed: Seed) -> Self {
        (self.filters, self.seed) = (Arc::new(filters), seed);
        self
    }

    /// The filters known.
    pub fn filters(&self) -> &FilterRegistry {
        &self.filters
    }

    pub(super) fn ends(&mut self, table: TableId) -> Option<&mut Ends> {
        self.tables.get_mut(table.0 as usize)?.ends.as_mut()
    }

    /// Which names of a new table's filters are unknown here.
    pub(super) fn check_filters(&self, filters: &TableFilters) -> Result<()> {
        for (name, _) in filters.push.filters().chain(filters.pull.filters()) {
            if !self.filters.names().any(|known| known == name) {
                let known: Vec<_> = self.filters.names().collect();
                let expected = format!("a filter among {}", known.join(", "));
                return Err(Error::argument("create_table", expected, format!("{name:?}")));
            }
        }
        Ok(())
    }

    /// How the values of a part's pull are to come.
    pub(super) fn form(&mut self, table: TableId, running: &Running, server: usize) -> Form {
        let whole = running.parts.get(&server).is_some_and(|p| p.whole);
        let through = running.through;
        match self.ends(table).filter(|_| running.pulls.is_some()) {
            Some(ends)
                if ends.pulls && (through == Through::All || through == Through::Exact && ends.pull_is_exact) =>
            {
                if whole {
                    Form::Whole
                } else {
                    Form::Coded
                }
            }
            _ => Form::Plain,
        }
    }

    /// The push of one part as filters made it, now or at the first attempt; `None` if it passes by them.
    pub(super) fn carried(
        &mut self,
        task: Task,
        table: TableId,
        running: &mut Running,
        server: usize,
        keys: &KeyList,
        keys_named: bool,
    ) -> Option<Carried> {
        let part = running.parts.get_mut(&server)?;
        if let Some(coded) = &part.coded {
            return Some(Carried::Coded(coded.clone()));
        }
        let whole = running.whole_push.as_ref()?;
        let index = running.keys.as_ref().and_then(|(_, plan)| plan.as_ref()?.shares.get(&server)).map(|s| &s.index);
        let whole_keys = running.keys.as_ref().map_or(0, |(keys, _)| keys.len());
        let width = whole.len() / whole_keys.max(1);
        if let Some(rows) = &running.rows {
            let place = |i: usize| index.map_or(i, |index| index[i] as usize);
            let rows = Rows::from_fn(keys.len(), |i| rows.contains(place(i)));
            let index: Vec<u32> = rows.iter().map(|i| place(i) as u32).collect();
            let mut values = Values::empty(whole.dtype());
            values.gather(whole, &index, width);
            return Some(Carried::Part { rows, values });
        }
        let (seed, exact) = (self.seed, running.through == Through::Exact);
        // Where memory is shared there is nothing to save.
        if running.through == Through::None || part.plain || exact && self.params.shared_memory {
            return None;
        }
        let ends = self.tables.get_mut(table.0 as usize)?.ends.as_mut().filter(|e| e.pushes)?;
        let values = match index {
            None => whole.clone(),
            Some(index) => {
                let mut values = Values::empty(whole.dtype());
                values.gather(whole, index, width);
                values
            }
        };
        let cx = Context { keys_named, exact, ..Context::new(table, task, Direction::Push, server as u32, seed) };
        match ends.encode(&cx, server, keys, values) {
            Ok(bytes) => {
                let coded = Coded { number: task.0, bytes: Arc::new(bytes) };
                part.coded = Some(coded.clone());
                Some(Carried::Coded(coded))
            }
            Err(error) => {
                // Infinity has no place on a grid, say. It is the caller's number, so it travels, as it is.
                tracing::debug!(%error, "a push passes by its filters");
                part.plain = true;
                None
            }
        }
    }

    /// Before parts are cut anew: what the filters made of those that are open takes the place of what was pushed.
    pub(super) fn recover(&mut self, table: TableId, running: &mut Running, of: impl Fn(usize) -> bool) {
        let Running { parts, keys: Some((keys, plan)), whole_push: Some(whole), rows, .. } = running else { return };
        // Of no keys the width is not known, and nothing is cut.
        let width = (whole.len() / keys.len().max(1)).max(1);
        for (&server, part) in parts.iter_mut().filter(|(s, p)| p.open && of(**s)) {
            let Some(coded) = part.coded.take() else { continue };
            let share = plan.as_ref().and_then(|p| p.shares.get(&server));
            let list = share.map_or(&*keys, |s| &s.keys);
            let place = |i: usize| share.map_or(i, |s| s.index[i] as usize);
            let all = rows.get_or_insert_with(|| Rows::all(keys.len()));
            let cx = Context::new(table, Task(coded.number), Direction::Push, server as u32, self.seed);
            let ends = self.tables.get(table.0 as usize).and_then(|t| t.ends.as_ref());
            let Some(Ok(got)) = ends.map(|e| e.effect(&cx, list, &coded.bytes)) else { continue };
            let index: Vec<u32> = got.rows.iter().map(|i| place(i) as u32).collect();
            whole.scatter(&got.values, &index, width, keys.len());
            let gone = got.rows.complement();
            let gone: std::collections::BTreeSet<usize> = gone.iter().map(place).collect();
            *all = Rows::from_fn(keys.len(), |i| all.contains(i) && !gone.contains(&i));
        }
    }

    /// The values of a part's answer.
    pub(super) fn received(
        &mut self,
        table: TableId,
        server: usize,
        running: &mut Running,
        pulled: Carried,
    ) -> std::result::Result<Arrived, (String, String)> {
        let coded = match pulled {
            Carried::Plain(values) => return Ok(Arrived::Values(values)),
            Carried::Part { .. } => return Err(("values".into(), "a part of a push".into())),
            Carried::Coded(coded) => coded,
        };
        let Some((keys, plan)) = &running.keys else { return Ok(Arrived::Late) };
        let share = plan.as_ref().and_then(|p| p.shares.get(&server));
        let keys = share.map_or(keys, |s| &s.keys);
        let cx = Context::new(table, Task(coded.number), Direction::Pull, server as u32, self.seed);
        let Some(ends) = self.tables.get_mut(table.0 as usize).and_then(|t| t.ends.as_mut()) else {
            return Ok(Arrived::Late);
        };
        match ends.decode(&cx, server, keys, &coded.bytes) {
            Ok(values) => Ok(Arrived::Values(values)),
            Err(FilterError::Behind { .. }) => {
                let Some(part) = running.parts.get_mut(&server) else { return Ok(Arrived::Late) };
                // A whole answer builds on nothing: once one was asked for, this is an older one, and asking again for
                // each of them would make more of them.
                let late = std::mem::replace(&mut part.whole, true);
                Ok(if late { Arrived::Late } else { Arrived::Behind })
            }
            Err(FilterError::Unfit { filter, expected, got }) => Err((format!("{expected} (filter {filter})"), got)),
        }
    }

    /// Takes what a table's filters hold back, as pushes that pass by them. Each is applied on arrival, with the
    /// arguments of the table's last filtered push.
    ///
    /// # Errors
    /// [`Error::Argument`] if a filter cannot send what it holds back.
    pub fn flush(&mut self, table: TableId) -> Result<Vec<Work>> {
        let (task, seed) = (Task(self.base + self.records.len() as u64), self.seed);
        let Some(ends) = self.ends(table) else { return Ok(Vec::new()) };
        let mut pushes = Vec::new();
        for server in ends.push.keys().copied().collect::<Vec<_>>() {
            let cx = Context::new(table, task, Direction::Push, server as u32, seed);
            let Some(flushed) = ends.push.get_mut(&server).map(|chain| chain.flush(&cx)) else { continue };
            let Some((keys, bytes)) = flushed.map_err(|e| unfit("flush", e))? else { continue };
            let got = ends.effect(&cx, &keys, &bytes).map_err(|e| unfit("flush", e))?;
            let (keys, push, args) = (got.keys(&keys), Some(got.values), ends.args.clone());
            pushes.push(Work::Move {
                keys,
                aggregate: false,
                args,
                push,
                pull: None,
                through: Through::None,
                tag: None,
            });
        }
        Ok(pushes)
    }

    /// Bytes before and after each filter, over all tables and servers, in order of tables, directions and filters.
    pub fn saved(&self) -> Vec<Saved> {
        let mut sums: Vec<Saved> = Vec::new();
        for one in self.tables.iter().filter_map(|t| t.ends.as_ref()).flat_map(Ends::saved) {
            match sums.iter_mut().find(|s| (&s.name, s.direction) == (&one.name, one.direction)) {
                Some(sum) => (sum.before, sum.after) = (sum.before + one.before, sum.after + one.after),
                None => sums.push(one),
            }
        }
        sums
    }
}
