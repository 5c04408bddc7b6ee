//! The table that threads race on.

use handcar_kernels::{huge_pages, prefetch};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A state as two words of 64 bits, of which the second is of use to states of more than two numbers only.
pub(super) type Words = [u64; 2];

/// Numbers of a state.
pub(super) const fn width<S>() -> usize {
    size_of::<S>() / size_of::<f32>()
}

#[inline(always)]
pub(super) fn to_words<S: AsRef<[f32]>>(state: &S) -> Words {
    let mut words = [0; 2];
    for (j, x) in state.as_ref().iter().enumerate() {
        words[j / 2] |= (x.to_bits() as u64) << (32 * (j % 2));
    }
    words
}

#[inline(always)]
pub(super) fn from_words<S: Default + AsMut<[f32]>>(words: Words) -> S {
    let mut state = S::default();
    for (j, x) in state.as_mut().iter_mut().enumerate() {
        *x = f32::from_bits((words[j / 2] >> (32 * (j % 2))) as u32);
    }
    state
}

/// States that any thread reads and writes at any time, a word at a time: two threads that update a key at once may lose one of the
/// updates. That is what racing means; it is no undefined behaviour, as every word is an atomic.
pub(super) struct Shared<S> {
    words: Vec<AtomicU64>,
    state: PhantomData<S>,
}

impl<S: AsRef<[f32]>> Shared<S> {
    /// Words of a state.
    pub const WORDS: usize = width::<S>().div_ceil(2);

    /// Room for so many states.
    pub fn new(states: usize) -> Self {
        const { assert!(width::<S>() <= 4, "states of up to four numbers") };
        let mut words = Vec::with_capacity(states * Self::WORDS);
        huge_pages::advise_capacity(&mut words);
        Self { words, state: PhantomData }
    }

    /// Adds a state behind the others.
    pub fn push(&mut self, state: &S) {
        self.words.extend(to_words(state)[..Self::WORDS].iter().map(|&w| AtomicU64::new(w)));
    }

    #[inline(always)]
    fn at(&self, place: u32) -> &[AtomicU64] {
        let first = place as usize * Self::WORDS;
        &self.words[first..first + Self::WORDS]
    }

    #[inline(always)]
    pub fn load(&self, place: u32) -> Words {
        let mut out = [0; 2];
        out.iter_mut().zip(self.at(place)).for_each(|(to, word)| *to = word.load(Relaxed));
        out
    }

    #[inline(always)]
    pub fn store(&self, place: u32, words: Words) {
        self.at(place).iter().zip(words).for_each(|(to, word)| to.store(word, Relaxed));
    }

    /// Asks for a state, to be there when it is looked up.
    #[inline(always)]
    pub fn prefetch(&self, place: u32) {
        prefetch::line(&self.at(place)[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_where_they_were_put() {
        let states = [[1.0f32, 2.0, 3.0], [4.0, f32::from_bits(7), -0.0]];
        let mut table = Shared::<[f32; 3]>::new(2);
        states.iter().for_each(|s| table.push(s));
        table.prefetch(1);
        let back = |place| from_words::<[f32; 3]>(table.load(place));
        assert_eq!((back(0), back(1).map(f32::to_bits)), (states[0], states[1].map(f32::to_bits)));
        table.store(0, to_words(&[9f32; 3]));
        assert_eq!((back(0), back(1)[0]), ([9.0; 3], 4.0));
        let mut pairs = Shared::<[f32; 2]>::new(2);
        pairs.push(&[1.0, -2.0]);
        pairs.push(&[3.0, 4.0]);
        assert_eq!((from_words::<[f32; 2]>(pairs.load(0)), pairs.load(1)), ([1.0, -2.0], to_words(&[3f32, 4.0])));
    }
}
