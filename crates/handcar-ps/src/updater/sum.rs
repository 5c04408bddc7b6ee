//! `Sum`: adds what is pushed.

use crate::updater::Updater;
use crate::values::Number;
use handcar_base::Key;
use std::marker::PhantomData;

/// `value_k <- value_k + pushed_k`, starting at zero; integers wrap around. One number a key.
#[derive(Clone, Debug, Default)]
pub struct Sum<T>(PhantomData<T>);

impl<T: Number> Updater for Sum<T> {
    type Entry = T;
    type Push = T;
    type Pull = T;

    fn init(&self, _key: Key) -> T {
        T::default()
    }

    #[inline]
    fn apply(&mut self, _key: Key, entry: &mut T, pushed: &[T]) {
        *entry = entry.plus(pushed[0]);
    }

    #[inline]
    fn read(&self, _key: Key, entry: &T, out: &mut [T]) {
        out[0] = *entry;
    }
}
