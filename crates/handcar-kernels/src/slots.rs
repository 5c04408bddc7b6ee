//! Tables of slots looked up by columns of ids: the loops that wait for memory.
//!
//! Ids are compared with the length of their table once, when a column is taken in ([`Ids::new`]); the loops then look up
//! without comparing again. Each of them asks for as many lines at once as a core can.

use crate::{Kernel, run};

/// What one key has: its state, and a sum on its way, so that both come with one cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Slot<S> {
    /// A sum; what it is of is the caller's.
    pub sum: i64,
    /// The state.
    pub state: S,
}

/// Ids that are all below a limit.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a, I> {
    ids: &'a [I],
    limit: usize,
}

/// What ids may be: `u8`, `u16` or `u32`. Nobody else may implement it, as the loops rely on an id being the same number
/// each time.
pub trait Id: Copy + PartialOrd + Into<u32> + sealed::Sealed {}
impl<I: Copy + PartialOrd + Into<u32> + sealed::Sealed> Id for I {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
}

struct Most<'a, I>(&'a [I]);

impl<I: Copy + PartialOrd> Kernel for Most<'_, I> {
    type Output = Option<I>;

    #[inline(always)]
    fn run(self) -> Option<I> {
        let first = *self.0.first()?;
        Some(self.0.iter().fold(first, |most, &id| if id > most { id } else { most }))
    }
}

impl<'a, I: Id> Ids<'a, I> {
    /// Looks at all ids once; `None` if one is not below `limit`.
    ///
    /// ```
    /// use handcar_kernels::slots::Ids;
    /// assert!(Ids::new(&[3u16, 0, 7], 8).is_some());
    /// assert!(Ids::new(&[3u16, 0, 8], 8).is_none());
    /// ```
    pub fn new(ids: &'a [I], limit: usize) -> Option<Self> {
        let fits = run(Most(ids)).is_none_or(|most| (most.into() as usize) < limit);
        fits.then_some(Self { ids, limit })
    }

    /// Some of them.
    ///
    /// # Panics
    /// If the range is outside.
    #[inline]
    pub fn range(self, range: std::ops::Range<usize>) -> Self {
        Self { ids: &self.ids[range], limit: self.limit }
    }

    /// The ids.
    #[inline]
    pub fn as_slice(self) -> &'a [I] {
        self.ids
    }

    /// How many there are.
    #[inline]
    pub fn len(self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.ids.is_empty()
    }
}

/// `out[i] = slots[ids[i]].state`.
///
/// # Panics
/// If there are fewer slots than the ids' limit, or `out` is shorter than `ids`.
#[inline(always)]
pub fn states<I: Id, S: Copy>(slots: &[Slot<S>], ids: Ids<'_, I>, out: &mut [S]) {
    assert!(slots.len() >= ids.limit && out.len() >= ids.len());
    for (out, &id) in out.iter_mut().zip(ids.ids) {
        // SAFETY: every id is below the limit, and there are at least that many slots.
        *out = unsafe { slots.get_unchecked(id.into() as usize) }.state;
    }
}

/// The sum over `slots[ids[i]].sum`, wrapping: lookups and nothing else.
///
/// # Panics
/// If there are fewer slots than the ids' limit.
#[inline(always)]
pub fn gather<I: Id, S>(slots: &[Slot<S>], ids: Ids<'_, I>) -> i64 {
    assert!(slots.len() >= ids.limit);
    let mut sums = [0i64; 8];
    let (chunks, rest) = ids.ids.as_chunks::<8>();
    // SAFETY: every id is below the limit, and there are at least that many slots.
    let at = |id: I| unsafe { slots.get_unchecked(id.into() as usize) }.sum;
    for ids in chunks {
        for (sum, &id) in sums.iter_mut().zip(ids) {
            *sum = sum.wrapping_add(at(id));
        }
    }
    rest.iter().fold(sums.iter().fold(0, |a, b| a.wrapping_add(*b)), |all, &id| all.wrapping_add(at(id)))
}

/// Asks for the slots of ids, to be there when they are looked up later.
///
/// # Panics
/// If there are fewer slots than the ids' limit.
#[inline(always)]
pub fn prefetch<I: Id, S>(slots: &[Slot<S>], ids: Ids<'_, I>) {
    assert!(slots.len() >= ids.limit);
    for &id in ids.ids {
        // SAFETY: every id is below the limit, and there are at least that many slots.
        crate::prefetch::line(unsafe { slots.get_unchecked(id.into() as usize) });
    }
}

/// Slots that a batch has added to; a slot may be named twice.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    list: Vec<u32>,
    /// Every slot named is below.
    limit: usize,
}

impl Touched {
    /// Adds `numbers[i]` to the sum of slot `ids[i]` and names every slot whose sum was zero, in the place of those named
    /// before. Sums wrap.
    ///
    /// # Panics
    /// If there are fewer slots than the ids' limit, or not as many numbers as ids.
    #[inline(always)]
    pub fn add<I: Id, S>(&mut self, slots: &mut [Slot<S>], ids: Ids<'_, I>, numbers: &[i64]) {
        self.add_by(slots, ids, numbers, |sum, number| sum.wrapping_add(number));
    }

    /// As [`add`](Self::add), of numbers that are summed in another way: `plus` gives the next sum, of which 0 stands for nothing.
    ///
    /// # Panics
    /// As [`add`](Self::add).
    #[inline(always)]
    pub fn add_by<I: Id, S, N: Copy>(
        &mut self,
        slots: &mut [Slot<S>],
        ids: Ids<'_, I>,
        numbers: &[N],
        plus: impl Fn(i64, N) -> i64,
    ) {
        assert!(slots.len() >= ids.limit && numbers.len() == ids.len());
        self.limit = ids.limit;
        if self.list.len() < ids.len() {
            self.list.resize(ids.len(), 0);
        }
        let list = &mut self.list[..ids.len()];
        let mut met = 0;
        for (&id, &number) in ids.ids.iter().zip(numbers) {
            let id: u32 = id.into();
            // SAFETY: every id is below the limit, and there are at least that many slots.
            let slot = unsafe { slots.get_unchecked_mut(id as usize) };
            // SAFETY: `met` grows by at most one for each id, so it is below the number of ids here.
            *unsafe { list.get_unchecked_mut(met) } = id;
            met += (slot.sum == 0) as usize;
            slot.sum = plus(slot.sum, number);
        }
        self.list.truncate(met);
    }

    /// The slots named.
    #[inline]
    pub fn list(&self) -> &[u32] {
        &self.list
    }

    /// Takes the sums of the named slots, [`TILE`] at a time: `update(states, sums)` gets the states of slots whose sum is
    /// not zero and may change them; of what it gets beyond those nothing is kept.
    ///
    /// # Panics
    /// If there are fewer slots than those were that were added to.
    #[inline(always)]
    pub fn take<S: Copy + Default>(&self, slots: &mut [Slot<S>], mut update: impl FnMut(&mut [S; TILE], &[i64; TILE])) {
        assert!(slots.len() >= self.limit);
        let (mut states, mut sums, mut at) = ([S::default(); TILE], [0i64; TILE], [0u32; TILE]);
        for named in self.list.chunks(TILE) {
            let mut n = 0;
            for &id in named {
                // SAFETY: every slot named is below the limit, and there are at least that many slots.
                let slot = unsafe { slots.get_unchecked_mut(id as usize) };
                let sum = std::mem::take(&mut slot.sum);
                // A chunk has at most TILE, and `n` has grown by at most one for each before.
                (at[n % TILE], states[n % TILE], sums[n % TILE]) = (id, slot.state, sum);
                n += (sum != 0) as usize;
            }
            update(&mut states, &sums);
            for (&id, &state) in at[..n].iter().zip(&states) {
                // SAFETY: as above.
                unsafe { slots.get_unchecked_mut(id as usize) }.state = state;
            }
        }
    }
}

/// Slots worked on at a time: their states stay in registers and the first-level cache.
pub const TILE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: usize, keys: u32) -> Vec<u32> {
        (0..n as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) % keys).collect()
    }

    #[test]
    fn lookups_and_sums_equal_the_plain_loop() {
        for (n, keys) in [(0, 1), (1, 1), (63, 5), (64, 40), (257, 100), (1000, 3000)] {
            let column = ids(n, keys);
            let checked = Ids::new(&column, keys as usize).unwrap();
            let mut slots: Vec<Slot<[f32; 2]>> =
                (0..keys).map(|k| Slot { sum: 0, state: [k as f32, -(k as f32)] }).collect();
            let mut out = vec![[0.0; 2]; n];
            states(&slots, checked, &mut out);
            assert!(column.iter().zip(&out).all(|(&id, s)| *s == slots[id as usize].state));
            // Some sums return to zero on the way, and some end there.
            let numbers: Vec<i64> = (0..n as i64).map(|i| [3, -3, 0, 7][i as usize % 4]).collect();
            let mut want = vec![0i64; keys as usize];
            column.iter().zip(&numbers).for_each(|(&id, g)| want[id as usize] += g);
            let mut touched = Touched::default();
            touched.add(&mut slots, checked, &numbers);
            assert!(slots.iter().zip(&want).all(|(s, w)| s.sum == *w));
            let all: i64 = column.iter().map(|&id| want[id as usize]).sum();
            assert_eq!(gather(&slots, checked), all);
            prefetch(&slots, checked);
            let mut updates = 0;
            touched.take(&mut slots, |states, sums| {
                for (state, &sum) in states.iter_mut().zip(sums) {
                    state[1] += sum as f32;
                    updates += 1;
                }
            });
            assert!(updates <= n.next_multiple_of(TILE));
            for (k, slot) in slots.iter().enumerate() {
                assert_eq!((slot.sum, slot.state), (0, [k as f32, want[k] as f32 - k as f32]), "{n} {k}");
            }
        }
    }

    #[test]
    fn ids_beyond_the_limit_are_never_taken() {
        assert!(Ids::new(&[1u8, 255], 255).is_none() && Ids::new(&[1u8, 254], 255).is_some());
        assert!(Ids::<u32>::new(&[], 0).is_some());
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn a_shorter_table_is_refused() {
        let column = ids(10, 100);
        let slots = vec![Slot::<[f32; 2]>::default(); 99];
        gather(&slots, Ids::new(&column, 100).unwrap());
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn a_shorter_table_is_not_updated() {
        let column = ids(10, 100);
        let mut slots = vec![Slot::<[f32; 2]>::default(); 100];
        let mut touched = Touched::default();
        touched.add(&mut slots, Ids::new(&column, 100).unwrap(), &[1; 10]);
        touched.take(&mut slots[..50], |_, _| ());
    }
}
