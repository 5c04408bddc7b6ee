//! `Assign`: keeps what was pushed last.

use crate::updater::Updater;
use crate::values::Number;
use handcar_base::Key;
use std::marker::PhantomData;

/// `value_k <- pushed_k`, starting at zero. An aggregated push assigns the sum over workers.
#[derive(Clone, Debug, Default)]
pub struct Assign<T>(PhantomData<T>);

impl<T: Number> Updater for Assign<T> {
    type Entry = T;
    type Push = T;
    type Pull = T;

    fn init(&self, _key: Key) -> T {
        T::default()
    }

    #[inline]
    fn apply(&mut self, _key: Key, entry: &mut T, pushed: &[T]) {
        *entry = pushed[0];
    }

    #[inline]
    fn read(&self, _key: Key, entry: &T, out: &mut [T]) {
        out[0] = *entry;
    }
}
