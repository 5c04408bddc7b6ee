//! `KeyList`: a shared, sorted list of keys and the hash that names it.

use crate::{Key, hash};
use std::ops::Range;
use std::sync::Arc;

/// Why a list of keys was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key list: expected strictly increasing keys, got {next} after {previous} at position {at}")]
pub struct NotSorted {
    /// Position of the offending key.
    pub at: usize,
    /// The key before it.
    pub previous: Key,
    /// The key found, not above `previous`.
    pub next: Key,
}

/// Strictly increasing keys, shared without copying, named by a 128-bit hash of the *whole* list.
///
/// Clones and [slices](Self::slice) share memory. Two lists of equal signature and length are taken to be equal: that
/// is what lets a list travel once and be named afterwards.
///
/// ```
/// use handcar_base::KeyList;
/// let keys = KeyList::new(vec![2, 5, 9])?;
/// assert_eq!(keys.slice(1..3).keys(), [5, 9]);
/// assert!(KeyList::new(vec![2, 2]).is_err());
/// # Ok::<(), handcar_base::key_list::NotSorted>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyList {
    keys: Arc<Vec<Key>>,
    begin: usize,
    end: usize,
    signature: u128,
}

impl Default for KeyList {
    /// No key.
    fn default() -> Self {
        Self { signature: sign(&[]), keys: Arc::new(Vec::new()), begin: 0, end: 0 }
    }
}

impl KeyList {
    /// Takes over keys after checking their order.
    ///
    /// # Errors
    /// [`NotSorted`] names the first key that is not above the one before it.
    pub fn new(keys: Vec<Key>) -> Result<Self, NotSorted> {
        if let Some(at) = keys.windows(2).position(|w| w[0] >= w[1]) {
            return Err(NotSorted { at: at + 1, previous: keys[at], next: keys[at + 1] });
        }
        let end = keys.len();
        Ok(Self { signature: sign(&keys), keys: Arc::new(keys), begin: 0, end })
    }

    /// The memory of a list that nobody else holds.
    pub fn into_vec(self) -> Option<Vec<Key>> {
        Arc::into_inner(self.keys)
    }

    /// The keys at positions `range`, sharing this list's memory.
    ///
    /// # Panics
    /// If the range exceeds the list.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let signature = sign(&self.keys()[range.clone()]);
        Self {
            keys: Arc::clone(&self.keys),
            begin: self.begin + range.start,
            end: self.begin + range.end.max(range.start),
            signature,
        }
    }

    /// The keys, strictly increasing.
    #[inline]
    pub fn keys(&self) -> &[Key] {
        &self.keys[self.begin..self.end]
    }

    /// Number of keys.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.begin
    }

    /// Whether there is no key.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// 128-bit hash of all keys.
    #[inline]
    pub fn signature(&self) -> u128 {
        self.signature
    }
}

impl PartialEq for KeyList {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature && self.len() == other.len()
    }
}

impl Eq for KeyList {}

fn sign(keys: &[Key]) -> u128 {
    if cfg!(target_endian = "little") {
        return hash::bytes128(bytemuck::cast_slice(keys));
    }
    let mut h = hash::Hasher128::new();
    for k in keys {
        h.update(&k.to_le_bytes());
    }
    h.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsorted_and_repeated_keys_are_refused_with_their_place() {
        assert_eq!(KeyList::new(vec![1, 3, 2]), Err(NotSorted { at: 2, previous: 3, next: 2 }));
        assert_eq!(KeyList::new(vec![4, 4]), Err(NotSorted { at: 1, previous: 4, next: 4 }));
    }

    #[test]
    fn a_slice_equals_the_list_of_its_keys() {
        let all = KeyList::new((0..1000).map(|i| i * 3).collect()).unwrap();
        let part = all.slice(10..500).slice(5..6);
        assert_eq!(part, KeyList::new(vec![45]).unwrap());
        assert_ne!(part, KeyList::new(vec![48]).unwrap());
        assert!(all.slice(7..7).is_empty());
    }

    #[test]
    fn every_key_counts_in_the_signature() {
        let keys: Vec<Key> = (0..5000).collect();
        let base = KeyList::new(keys.clone()).unwrap().signature();
        let mut changed = keys.clone();
        changed[4999] = 6000;
        assert_ne!(base, KeyList::new(changed).unwrap().signature());
        assert_ne!(base, KeyList::new(keys[..4999].to_vec()).unwrap().signature());
    }

    #[test]
    fn signature_is_of_little_endian_bytes() {
        let bytes: Vec<u8> = [1u64, 258].iter().flat_map(|k| k.to_le_bytes()).collect();
        assert_eq!(KeyList::new(vec![1, 258]).unwrap().signature(), hash::bytes128(&bytes));
    }
}
