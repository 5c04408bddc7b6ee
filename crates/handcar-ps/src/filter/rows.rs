//! `Rows`: which keys of a list have values in a message.

use super::bytes::{Reader, put_varint};
use super::error::FilterError;

/// A set of positions in a key list. Both ends know the list, so only the set travels, in the shortest of three forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    len: usize,
    count: usize,
    /// One bit a position, from the lowest bit of the first word; `None` when every position is in the set.
    mask: Option<Vec<u64>>,
}

const ALL: u8 = 0;
const BITS: u8 = 1;
const PRESENT: u8 = 2;
const ABSENT: u8 = 3;

impl Rows {
    /// Every position of a list of `len` keys.
    pub fn all(len: usize) -> Self {
        Self { len, count: len, mask: None }
    }

    /// No position of a list of `len` keys.
    pub fn none(len: usize) -> Self {
        Self::from_fn(len, |_| false)
    }

    /// The positions for which `keep` says yes.
    pub fn from_fn(len: usize, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut mask = vec![0u64; len.div_ceil(64)];
        let mut count = 0;
        for i in 0..len {
            let bit = u64::from(keep(i));
            mask[i / 64] |= bit << (i % 64);
            count += bit as usize;
        }
        Self { len, count, mask: (count < len).then_some(mask) }
    }

    /// Length of the key list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Number of positions in the set.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether every position is in the set.
    pub fn is_all(&self) -> bool {
        self.mask.is_none()
    }

    /// Whether a position is in the set.
    #[inline]
    pub fn contains(&self, i: usize) -> bool {
        i < self.len && self.mask.as_ref().is_none_or(|m| m[i / 64] >> (i % 64) & 1 == 1)
    }

    /// The positions in the set, increasing.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let all = if self.mask.is_none() { 0..self.len } else { 0..0 };
        let some = self.mask.iter().flat_map(|m| m.iter().enumerate()).flat_map(|(w, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                (left != 0).then(|| {
                    left &= left - 1;
                    w * 64 + bit as usize
                })
            })
        });
        all.chain(some)
    }

    /// The positions that are not in the set, as a set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self::from_fn(self.len, |i| !self.contains(i))
    }

    /// The positions in either set; both of one list.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_fn(self.len, |i| self.contains(i) || other.contains(i))
    }

    /// The positions of `self` whose place among them (0 for the first) is in `inner`.
    #[must_use]
    pub fn pick(&self, inner: &Self) -> Self {
        if inner.is_all() && inner.len == self.count {
            return self.clone();
        }
        let mut place = 0;
        Self::from_fn(self.len, |i| {
            self.contains(i) && {
                place += 1;
                inner.contains(place - 1)
            }
        })
    }

    /// Appends the set in its shortest form; the length of the list does not travel.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Some(mask) = &self.mask else { return out.push(ALL) };
        let rare = self.count.min(self.len - self.count);
        let bits = self.len.div_ceil(8);
        let start = out.len();
        // A gap takes at least one byte, so longer sets of gaps cannot be shorter than the bits.
        if rare < bits {
            let (form, set) = if rare == self.count { (PRESENT, None) } else { (ABSENT, Some(self.complement())) };
            out.push(form);
            put_varint(out, rare as u64);
            let mut next = 0;
            for i in set.as_ref().unwrap_or(self).iter() {
                put_varint(out, (i - next) as u64);
                next = i + 1;
            }
            if out.len() - start <= 1 + bits {
                return;
            }
            out.truncate(start);
        }
        out.push(BITS);
        out.extend(mask.iter().flat_map(|w| w.to_le_bytes()).take(bits));
    }

    /// Bytes that [`write`](Self::write) appends.
    pub fn bytes(&self) -> usize {
        let mut out = Vec::new();
        self.write(&mut out);
        out.len()
    }

    /// Reads a set of positions of a list of `len` keys.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if the bytes are no such set. Takes memory for `len` bits at most.
    pub fn read(r: &mut Reader<'_>, len: usize) -> Result<Self, FilterError> {
        match r.u8()? {
            ALL => Ok(Self::all(len)),
            BITS => {
                let bits = r.take(len.div_ceil(8))?;
                let rows = Self::from_fn(len, |i| bits[i / 8] >> (i % 8) & 1 == 1);
                Ok(rows)
            }
            form @ (PRESENT | ABSENT) => {
                let count = r.varint()?;
                let outside = |at: u64| FilterError::unfit(format!("positions below {len}"), at.to_string());
                if count > len as u64 {
                    return Err(outside(count));
                }
                let mut mask = vec![0u64; len.div_ceil(64)];
                let mut next = 0u64;
                for _ in 0..count {
                    let at = next.saturating_add(r.varint()?);
                    if at >= len as u64 {
                        return Err(outside(at));
                    }
                    mask[at as usize / 64] |= 1 << (at % 64);
                    next = at + 1;
                }
                let count = count as usize;
                let rows = Self { len, count, mask: (count < len).then_some(mask) };
                Ok(if form == PRESENT { rows } else { rows.complement() })
            }
            other => Err(FilterError::unfit("a form of rows in 0..=3", other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(rows: &Rows) -> Vec<u8> {
        let mut out = Vec::new();
        rows.write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn a_set_comes_back(bits in prop::collection::vec(any::<bool>(), 0..300), density in 0usize..3) {
            let rows = Rows::from_fn(bits.len(), |i| match density {
                0 => bits[i] && i % 40 == 0,
                1 => bits[i],
                _ => bits[i] || i % 40 != 0,
            });
            let bytes = written(&rows);
            let mut r = Reader(&bytes);
            prop_assert_eq!(&Rows::read(&mut r, bits.len()).unwrap(), &rows);
            prop_assert!(r.0.is_empty() && bytes.len() <= 1 + bits.len().div_ceil(8).max(1));
            prop_assert_eq!(rows.iter().count(), rows.count());
            prop_assert!(rows.iter().all(|i| rows.contains(i)));
        }

        #[test]
        fn any_bytes_are_a_set_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40), len in 0usize..200) {
            if let Ok(rows) = Rows::read(&mut Reader(&bytes), len) {
                prop_assert_eq!(rows.iter().count(), rows.count());
                prop_assert!(rows.count() <= len);
            }
        }
    }

    #[test]
    fn rare_and_common_sets_are_short() {
        assert_eq!(written(&Rows::all(1 << 20)).len(), 1);
        assert!(written(&Rows::from_fn(1 << 20, |i| i == 77_777)).len() <= 6);
        assert!(written(&Rows::from_fn(1 << 20, |i| i != 77_777)).len() <= 6);
    }

    #[test]
    fn picking_counts_places_within_the_set() {
        let rows = Rows::from_fn(6, |i| i % 2 == 1);
        let picked = rows.pick(&Rows::from_fn(3, |place| place != 1));
        assert_eq!(picked.iter().collect::<Vec<_>>(), [1, 5]);
        assert_eq!(rows.union(&rows.complement()), Rows::all(6));
    }
}
