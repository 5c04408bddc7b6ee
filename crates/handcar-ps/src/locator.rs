//! `Locator`: where the keys of lists lie in a store, remembered for lists that come again.

use crate::lru::Lru;
use crate::positions::Positions;
use crate::store::Store;
use handcar_base::KeyList;

/// Names a list: its hash and length.
pub(crate) type ListName = (u128, usize);

/// Bytes of positions kept.
const CACHE_BYTES_MAX: usize = 1 << 30;
/// Names of lists that were met once.
const MET_BYTES_MAX: usize = 1 << 20;
/// What a name takes.
const NAME_BYTES: usize = 64;

#[derive(Debug)]
struct Located {
    version: u64,
    positions: Positions,
}

/// Finds lists in one store. The positions of the last list stay in memory that is used again; those of a list that came
/// before are kept until others need the room, or a key is inserted.
#[derive(Debug)]
pub(crate) struct Locator {
    kept: Lru<ListName, Located>,
    met: Lru<ListName, ()>,
    last: Option<(ListName, Located)>,
}

impl Locator {
    pub fn new() -> Self {
        Self { kept: Lru::new(CACHE_BYTES_MAX), met: Lru::new(MET_BYTES_MAX), last: None }
    }

    /// The positions of a list; its name is given since it has a price.
    pub fn locate<E: Clone>(&mut self, store: &Store<E>, name: ListName, keys: &KeyList) -> &Positions {
        let version = store.version();
        if self.last.as_ref().is_some_and(|(n, l)| *n == name && l.version == version) {
            return self.last.as_ref().map_or_else(|| unreachable!("it is there"), |(_, l)| &l.positions);
        }
        if self.kept.get(&name).is_some_and(|l| l.version == version) {
            return match self.kept.get(&name) {
                Some(located) => &located.positions,
                None => unreachable!("it was there"),
            };
        }
        if self.met.get(&name).is_some() {
            let positions = Positions::of(keys.keys(), store.keys());
            let bytes = positions.bytes();
            return &self.kept.put(name, Located { version, positions }, bytes).positions;
        }
        self.met.put(name, (), NAME_BYTES);
        let spare = match self.last.take() {
            Some((_, Located { positions: Positions::Scattered(spare), .. })) => spare,
            _ => Vec::new(),
        };
        let positions = Positions::find(keys.keys(), store.keys(), spare);
        &self.last.insert((name, Located { version, positions })).1.positions
    }
}
