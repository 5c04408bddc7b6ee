//! `Shard`: one table on one server, with its caches; and the one generic implementation over `Updater`.

use crate::entries::Entries;
use crate::entry::Entry;
use crate::locator::{ListName, Locator};
use crate::lru::Lru;
use crate::positions::Positions;
use crate::store::Store;
use crate::union::Union;
use crate::updater::Updater;
use crate::values::{Dtype, Number, Values};
use handcar_base::{Key, KeyList, RangeSet, key};

/// Positions and unions kept for a table; a position is 4 bytes, so this is 64 Mi keys of cached lists.
const CACHE_BYTES_MAX: usize = 256 << 20;

/// The types and widths of a table's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Type of pushed numbers.
    pub push: Dtype,
    /// Numbers pushed for a key.
    pub push_width: u32,
    /// Type of pulled numbers.
    pub pull: Dtype,
    /// Numbers pulled for a key.
    pub pull_width: u32,
}

/// What one worker pushed in a task.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'a> {
    /// The keys.
    pub keys: &'a KeyList,
    /// `[keys * push_width]`.
    pub values: &'a Values,
}

/// One table on one server.
pub trait Shard: Send {
    /// Types and widths.
    fn shape(&self) -> Shape;
    /// Gives every key an entry.
    fn insert(&mut self, keys: &KeyList);
    /// Sums the contributions in the given order and applies the sum once; returns the updater's note.
    ///
    /// # Errors
    /// The updater's text; nothing was applied.
    fn apply(&mut self, args: &[u8], pushed: &[Contribution<'_>]) -> Result<Vec<u8>, String>;
    /// The contributions' sum, in the given order: applying it equals applying them.
    ///
    /// # Errors
    /// What does not fit; nothing was summed.
    fn sum(&mut self, pushed: &[Contribution<'_>]) -> Result<(KeyList, Values), String>;
    /// Reads the values of keys into `out`.
    fn read(&mut self, keys: &KeyList, out: &mut Values);
    /// Runs the updater's server function.
    ///
    /// # Errors
    /// The updater's text.
    fn call(&mut self, args: &[u8]) -> Result<Vec<u8>, String>;
    /// As [`call`](Self::call), as if there were only the keys at some positions.
    ///
    /// # Errors
    /// The updater's text.
    fn call_within(&mut self, within: &RangeSet, args: &[u8]) -> Result<Vec<u8>, String>;
    /// The keys at some positions, and the bytes of their entries.
    fn copy(&self, within: &RangeSet) -> (KeyList, Vec<u8>);
    /// The same, with the size of each entry.
    fn entries(&self, within: &RangeSet) -> Entries;
    /// Takes over copied keys in the place of all that is held at some positions.
    ///
    /// # Errors
    /// Says what is wrong with the bytes; nothing was changed.
    fn install(&mut self, within: &RangeSet, keys: &KeyList, entries: &[u8]) -> Result<(), String>;
    /// Number of keys held.
    fn keys(&self) -> usize;
}

pub(crate) struct UpdaterShard<U: Updater> {
    updater: U,
    store: Store<U::Entry>,
    located: Locator,
    unions: Lru<Vec<ListName>, Union>,
    /// Sums over workers; kept for its memory.
    sums: Vec<U::Push>,
}

fn name(keys: &KeyList) -> ListName {
    (keys.signature(), keys.len())
}

impl<U: Updater> UpdaterShard<U> {
    pub(crate) fn new(updater: U) -> Self {
        Self {
            updater,
            store: Store::new(),
            located: Locator::new(),
            unions: Lru::new(CACHE_BYTES_MAX),
            sums: Vec::new(),
        }
    }

    fn check(&self, pushed: &[Contribution<'_>]) -> Result<(), String> {
        let width = self.updater.push_width();
        match pushed.iter().find(|c| U::Push::slice(c.values).is_none_or(|v| v.len() != c.keys.len() * width)) {
            None => Ok(()),
            Some(c) => Err(format!(
                "expected {} {} values ({} keys × {width}), got {} {}",
                c.keys.len() * width,
                U::Push::DTYPE,
                c.keys.len(),
                c.values.len(),
                c.values.dtype()
            )),
        }
    }

    /// Adds contributions in their order; returns the keys of the sums.
    fn add(&mut self, pushed: &[Contribution<'_>], sums: &mut Vec<U::Push>) -> KeyList {
        let width = self.updater.push_width();
        sums.clear();
        let Some((first, rest)) = pushed.split_first() else { return KeyList::default() };
        if rest.iter().all(|c| c.keys == first.keys) {
            sums.extend_from_slice(U::Push::slice(first.values).unwrap_or_default());
            for c in rest {
                for (s, &v) in sums.iter_mut().zip(U::Push::slice(c.values).unwrap_or_default()) {
                    *s = s.plus(v);
                }
            }
            return first.keys.clone();
        }
        let names: Vec<_> = pushed.iter().map(|c| name(c.keys)).collect();
        if self.unions.get(&names).is_none() {
            let union = Union::of(pushed.iter().map(|c| c.keys));
            let bytes = union.bytes();
            self.unions.put(names.clone(), union, bytes);
        }
        let Some(union) = self.unions.get(&names) else { unreachable!("the newest entry is never evicted") };
        sums.resize(union.keys.len() * width, U::Push::default());
        for (c, places) in pushed.iter().zip(&union.places) {
            let values = U::Push::slice(c.values).unwrap_or_default();
            for (&at, row) in places.iter().zip(values.chunks_exact(width)) {
                for (s, &v) in sums[at as usize * width..][..width].iter_mut().zip(row) {
                    *s = s.plus(v);
                }
            }
        }
        union.keys.clone()
    }

    fn apply_list(&mut self, keys: &KeyList, pushed: &[U::Push]) {
        self.insert(keys);
        let width = self.updater.push_width();
        let positions = self.located.locate(&self.store, name(keys), keys);
        let (_, entries) = self.store.split_mut();
        let rows = pushed.chunks_exact(width);
        match positions {
            Positions::Run(run) => {
                for ((&key, entry), row) in keys.keys().iter().zip(&mut entries[run.clone()]).zip(rows) {
                    self.updater.apply(key, entry, row);
                }
            }
            Positions::Scattered(at) => {
                for ((&key, &at), row) in keys.keys().iter().zip(at).zip(rows) {
                    self.updater.apply(key, &mut entries[at as usize], row);
                }
            }
        }
    }
}

impl<U: Updater> Shard for UpdaterShard<U> {
    fn shape(&self) -> Shape {
        Shape {
            push: U::Push::DTYPE,
            push_width: self.updater.push_width() as u32,
            pull: U::Pull::DTYPE,
            pull_width: self.updater.pull_width() as u32,
        }
    }

    fn insert(&mut self, keys: &KeyList) {
        if !self.located.locate(&self.store, name(keys), keys).complete() {
            let updater = &self.updater;
            self.store.insert(keys.keys(), |k| updater.init(k));
        }
    }

    fn apply(&mut self, args: &[u8], pushed: &[Contribution<'_>]) -> Result<Vec<u8>, String> {
        self.check(pushed)?;
        self.updater.begin(args)?;
        match pushed {
            [] => {}
            [one] => self.apply_list(one.keys, U::Push::slice(one.values).unwrap_or_default()),
            _ => {
                let mut sums = std::mem::take(&mut self.sums);
                let keys = self.add(pushed, &mut sums);
                self.apply_list(&keys, &sums);
                self.sums = sums;
            }
        }
        Ok(self.updater.end())
    }

    fn sum(&mut self, pushed: &[Contribution<'_>]) -> Result<(KeyList, Values), String> {
        self.check(pushed)?;
        let mut sums = Vec::new();
        let keys = self.add(pushed, &mut sums);
        Ok((keys, U::Push::wrap(sums)))
    }

    fn read(&mut self, keys: &KeyList, out: &mut Values) {
        let width = self.updater.pull_width();
        if out.dtype() != U::Pull::DTYPE {
            *out = Values::empty(U::Pull::DTYPE);
        }
        let Some(out) = U::Pull::vec_mut(out) else { return };
        // Every number is written below, so old contents need no clearing.
        out.resize(keys.len() * width, U::Pull::default());
        let positions = self.located.locate(&self.store, name(keys), keys);
        let entries = self.store.entries();
        let rows = out.chunks_exact_mut(width);
        match positions {
            Positions::Run(run) => {
                for ((&key, entry), row) in keys.keys().iter().zip(&entries[run.clone()]).zip(rows) {
                    self.updater.read(key, entry, row);
                }
            }
            Positions::Scattered(_) => {
                for ((i, &key), row) in keys.keys().iter().enumerate().zip(rows) {
                    match positions.get(i) {
                        Some(at) => self.updater.read(key, &entries[at], row),
                        None => self.updater.read(key, &self.updater.init(key), row),
                    }
                }
            }
        }
    }

    fn call(&mut self, args: &[u8]) -> Result<Vec<u8>, String> {
        self.updater.call(&mut self.store, args)
    }

    fn call_within(&mut self, within: &RangeSet, args: &[u8]) -> Result<Vec<u8>, String> {
        // Only with copies of others' keys, or after a failover, are there keys that the call does not concern.
        let mut part = self.store.take(within);
        let result = self.updater.call(&mut part, args);
        self.store.put(part);
        result
    }

    fn entries(&self, within: &RangeSet) -> Entries {
        let here = |k: &Key| within.contains(key::position(*k));
        let (keys, entries): (Vec<Key>, Vec<&U::Entry>) = self.store.iter().filter(|(k, _)| here(k)).unzip();
        match KeyList::new(keys) {
            Ok(keys) => Entries::of(keys, |n, out| entries[n].write(out)),
            Err(_) => unreachable!("a subsequence of increasing keys increases"),
        }
    }

    fn copy(&self, within: &RangeSet) -> (KeyList, Vec<u8>) {
        let (mut keys, mut bytes): (Vec<Key>, _) = (Vec::new(), Vec::new());
        for (key, entry) in self.store.iter().filter(|(k, _)| within.contains(key::position(*k))) {
            keys.push(key);
            entry.write(&mut bytes);
        }
        match KeyList::new(keys) {
            Ok(keys) => (keys, bytes),
            Err(_) => unreachable!("a subsequence of increasing keys increases"),
        }
    }

    fn install(&mut self, within: &RangeSet, keys: &KeyList, mut entries: &[u8]) -> Result<(), String> {
        let mut list = Vec::with_capacity(keys.len());
        for (n, _) in keys.keys().iter().enumerate() {
            let entry = U::Entry::read(&mut entries);
            list.push(entry.ok_or_else(|| format!("expected {} entries, got {n} and other bytes", keys.len()))?);
        }
        if !entries.is_empty() {
            return Err(format!("expected {} entries, got {} more bytes", keys.len(), entries.len()));
        }
        self.store.take(within);
        self.store.put(Store::of(keys.keys().to_vec(), list));
        Ok(())
    }

    fn keys(&self) -> usize {
        self.store.len()
    }
}
