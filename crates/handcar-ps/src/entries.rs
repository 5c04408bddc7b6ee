//! `Entries`: what servers hold under some keys, as bytes.

use handcar_base::key::position;
use handcar_base::{Key, KeyList, RangeSet};

/// Keys with the bytes of what a server holds for each, as its updater's [`Entry`](crate::Entry) writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    keys: KeyList,
    sizes: Sizes,
    bytes: Vec<u8>,
}

/// How many bytes the entries have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sizes {
    /// All alike.
    All(u32),
    /// Each its own.
    Each(Vec<u32>),
}

impl Default for Sizes {
    fn default() -> Self {
        Self::All(0)
    }
}

impl Entries {
    /// Entries one after the other: `next` appends the bytes of each key's.
    pub fn of(keys: KeyList, mut next: impl FnMut(usize, &mut Vec<u8>)) -> Self {
        let (mut sizes, mut bytes) = (Sizes::default(), Vec::new());
        for n in 0..keys.len() {
            let before = bytes.len();
            next(n, &mut bytes);
            let size = (bytes.len() - before) as u32;
            match &mut sizes {
                Sizes::Each(each) => each.push(size),
                Sizes::All(all) if n == 0 => *all = size,
                Sizes::All(all) if *all == size => {}
                Sizes::All(all) => {
                    let mut each = vec![*all; n];
                    each.push(size);
                    sizes = Sizes::Each(each);
                }
            }
        }
        Self { keys, sizes, bytes }
    }

    /// The keys.
    pub fn keys(&self) -> &KeyList {
        &self.keys
    }

    /// The bytes of all entries in the order of the keys.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each key with the bytes of its entry.
    fn iter(&self) -> impl Iterator<Item = (Key, &[u8])> {
        let mut rest = &self.bytes[..];
        self.keys.keys().iter().enumerate().map(move |(n, &key)| {
            let size = match &self.sizes {
                Sizes::All(all) => *all,
                Sizes::Each(each) => each[n],
            };
            let (entry, after) = rest.split_at(size as usize);
            rest = after;
            (key, entry)
        })
    }

    /// Those of keys at some positions.
    #[must_use]
    pub fn within(&self, positions: &RangeSet) -> Self {
        Self::collect(self.iter().filter(|(key, _)| positions.contains(position(*key))).collect())
    }

    /// All entries of several sets of other keys, in order.
    pub fn merged(parts: &[Self]) -> Self {
        if let [one] = parts {
            return one.clone();
        }
        let mut all: Vec<(Key, &[u8])> = parts.iter().flat_map(Self::iter).collect();
        all.sort_by_key(|e| e.0);
        all.dedup_by_key(|e| e.0);
        Self::collect(all)
    }

    fn collect(list: Vec<(Key, &[u8])>) -> Self {
        match KeyList::new(list.iter().map(|e| e.0).collect()) {
            Ok(keys) => Self::of(keys, |n, out| out.extend_from_slice(list[n].1)),
            Err(e) => unreachable!("sorted, and each once: {e}"),
        }
    }

    /// The bytes that a checkpoint keeps: the number of keys, the keys, the size that all entries have or 2³²-1 and each
    /// one's, the entries; all numbers little-endian, keys and number 8 bytes, sizes 4.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12 + 12 * self.keys.len() + self.bytes.len());
        self.write(&mut out);
        out
    }

    /// Appends [`to_bytes`](Self::to_bytes).
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.keys.len() as u64).to_le_bytes());
        out.extend_from_slice(bytemuck::cast_slice(self.keys.keys()));
        match &self.sizes {
            Sizes::All(all) => out.extend_from_slice(&all.to_le_bytes()),
            Sizes::Each(each) => {
                out.extend_from_slice(&u32::MAX.to_le_bytes());
                out.extend_from_slice(bytemuck::cast_slice(each));
            }
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// What was expected and found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let short = |what: &str| format!("expected {what}, got the end of {} bytes", bytes.len());
        let (n, rest) = bytes.split_first_chunk().ok_or_else(|| short("a number of keys"))?;
        let n = u64::from_le_bytes(*n);
        if n > rest.len() as u64 / 8 {
            return Err(short(&format!("{n} keys")));
        }
        let (keys, rest) = rest.split_at(8 * n as usize);
        let keys = keys.chunks_exact(8).map(|k| u64::from_le_bytes(k.try_into().unwrap_or_default())).collect();
        let keys = KeyList::new(keys).map_err(|e| e.to_string())?;
        let (all, rest) = rest.split_first_chunk().ok_or_else(|| short("a size"))?;
        let (sizes, rest, total) = match u32::from_le_bytes(*all) {
            u32::MAX => {
                let (each, rest) = rest.split_at_checked(4 * n as usize).ok_or_else(|| short("a size for each key"))?;
                let size = |s: &[u8]| u32::from_le_bytes(s.try_into().unwrap_or_default());
                let each: Vec<u32> = each.chunks_exact(4).map(size).collect();
                let total = each.iter().map(|&s| s as u64).sum::<u64>();
                (Sizes::Each(each), rest, total)
            }
            all => (Sizes::All(all), rest, all as u64 * n),
        };
        if total != rest.len() as u64 {
            return Err(format!("expected {total} bytes of entries, got {}", rest.len()));
        }
        Ok(Self { keys, sizes, bytes: rest.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::KeyRange;

    fn entries(list: &[(Key, &[u8])]) -> Entries {
        Entries::collect(list.to_vec())
    }

    #[test]
    fn entries_come_back_and_damage_is_refused() {
        let alike = entries(&[(2, b"ab"), (7, b"cd"), (9, b"ef")]);
        let various = entries(&[(2, b"ab"), (7, b""), (9, b"efghi")]);
        for e in [alike, various, Entries::default()] {
            let bytes = e.to_bytes();
            assert_eq!(Entries::from_bytes(&bytes).as_ref(), Ok(&e));
            for at in 0..bytes.len() {
                assert!(Entries::from_bytes(&bytes[..at]).is_err());
                let mut other = bytes.clone();
                other[at] ^= 0x85;
                let _ = Entries::from_bytes(&other);
            }
        }
    }

    #[test]
    fn what_is_parted_by_positions_merges_to_the_same() {
        let list: Vec<(Key, Vec<u8>)> = (0..100).map(|k| (3 * k, vec![k as u8; k as usize % 5])).collect();
        let all = Entries::collect(list.iter().map(|(k, v)| (*k, &v[..])).collect());
        let low: RangeSet = KeyRange::new(0, 1 << 62).into();
        let parts = [all.within(&RangeSet::all().minus(&low)), all.within(&low)];
        assert!(parts.iter().all(|p| !p.keys().is_empty()));
        assert_eq!(Entries::merged(&parts), all);
    }
}
