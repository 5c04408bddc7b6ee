//! `Values`: the numbers that travel with keys.

use crate::entry::Entry;

/// The type of the numbers in a message or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 64-bit integers, added with wrap-around so that any order of addition gives equal bits.
    I64,
}

impl Dtype {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I64 => "i64",
        })
    }
}

/// Owned numbers: `[keys * width]`, the values of one key side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// 64-bit integers.
    I64(Vec<i64>),
}

impl Values {
    /// No values of a type; takes no memory.
    pub fn empty(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32(Vec::new()),
            Dtype::F64 => Self::F64(Vec::new()),
            Dtype::I64 => Self::I64(Vec::new()),
        }
    }

    /// The type of the numbers.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::I64(_) => Dtype::I64,
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::I64(v) => v.len(),
        }
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the numbers, keeps the memory.
    pub fn clear(&mut self) {
        match self {
            Self::F32(v) => v.clear(),
            Self::F64(v) => v.clear(),
            Self::I64(v) => v.clear(),
        }
    }

    /// The numbers as a slice, if they are of type `T`.
    pub fn as_slice<T: Number>(&self) -> Option<&[T]> {
        T::slice(self)
    }

    /// The numbers as a vector, if they are of type `T`.
    pub fn into_vec<T: Number>(self) -> Option<Vec<T>> {
        T::unwrap(self)
    }

    /// `len` zeros of a type.
    pub fn zeros(dtype: Dtype, len: usize) -> Self {
        match dtype {
            Dtype::F32 => Self::F32(vec![0.0; len]),
            Dtype::F64 => Self::F64(vec![0.0; len]),
            Dtype::I64 => Self::I64(vec![0; len]),
        }
    }

    /// The number at `i`, rounded to `f64` where it has more than 53 bits.
    ///
    /// # Panics
    /// If `i` is not below the length.
    #[inline]
    pub fn real(&self, i: usize) -> f64 {
        match self {
            Self::F32(v) => v[i].into(),
            Self::F64(v) => v[i],
            Self::I64(v) => v[i] as f64,
        }
    }

    /// Keeps the rows `index`, increasing, each of `width` numbers.
    pub(crate) fn keep_rows(&mut self, index: impl Iterator<Item = usize>, width: usize) {
        fn go<T: Number>(v: &mut Vec<T>, index: impl Iterator<Item = usize>, width: usize) {
            let mut end = 0;
            for i in index {
                v.copy_within(i * width..(i + 1) * width, end);
                end += width;
            }
            v.truncate(end);
        }
        match self {
            Self::F32(v) => go(v, index, width),
            Self::F64(v) => go(v, index, width),
            Self::I64(v) => go(v, index, width),
        }
    }

    /// Rows of these values and of `other`, which has the same type: the next one of `other` where `from_other` says so.
    pub(crate) fn merge_rows(&self, other: &Self, from_other: &[bool], width: usize) -> Self {
        fn go<T: Number>(a: &[T], b: &[T], from_b: &[bool], width: usize) -> Vec<T> {
            let (mut a, mut b) = (a.chunks_exact(width), b.chunks_exact(width));
            let next = |&other: &bool| if other { b.next() } else { a.next() }.unwrap_or_default();
            from_b.iter().flat_map(next).copied().collect()
        }
        match (self, other) {
            (Self::F32(a), Self::F32(b)) => Self::F32(go(a, b, from_other, width)),
            (Self::F64(a), Self::F64(b)) => Self::F64(go(a, b, from_other, width)),
            (Self::I64(a), Self::I64(b)) => Self::I64(go(a, b, from_other, width)),
            _ => {
                debug_assert!(false, "types were checked before");
                self.clone()
            }
        }
    }

    /// Appends the rows `index` (each `width` numbers) of `from`, which has the same type.
    pub(crate) fn gather(&mut self, from: &Self, index: &[u32], width: usize) {
        fn go<T: Number>(to: &mut Vec<T>, from: &[T], index: &[u32], width: usize) {
            to.reserve(index.len() * width);
            if width == 1 {
                to.extend(index.iter().map(|&i| from[i as usize]));
            } else {
                for &i in index {
                    to.extend_from_slice(&from[i as usize * width..][..width]);
                }
            }
        }
        match (self, from) {
            (Self::F32(a), Self::F32(b)) => go(a, b, index, width),
            (Self::F64(a), Self::F64(b)) => go(a, b, index, width),
            (Self::I64(a), Self::I64(b)) => go(a, b, index, width),
            _ => debug_assert!(false, "types were checked at submission"),
        }
    }

    /// Writes `from` into the rows `index` of these values, which have the same type; `rows` rows in all.
    pub(crate) fn scatter(&mut self, from: &Self, index: &[u32], width: usize, rows: usize) {
        fn go<T: Number>(to: &mut Vec<T>, from: &[T], index: &[u32], width: usize, rows: usize) {
            to.resize(rows * width, T::default());
            for (&i, row) in index.iter().zip(from.chunks_exact(width)) {
                to[i as usize * width..][..width].copy_from_slice(row);
            }
        }
        match (self, from) {
            (Self::F32(a), Self::F32(b)) => go(a, b, index, width, rows),
            (Self::F64(a), Self::F64(b)) => go(a, b, index, width, rows),
            (Self::I64(a), Self::I64(b)) => go(a, b, index, width, rows),
            _ => debug_assert!(false, "the reply's type was checked"),
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(v: Vec<f32>) -> Self {
        Self::F32(v)
    }
}

impl From<Vec<f64>> for Values {
    fn from(v: Vec<f64>) -> Self {
        Self::F64(v)
    }
}

impl From<Vec<i64>> for Values {
    fn from(v: Vec<i64>) -> Self {
        Self::I64(v)
    }
}

/// A number that tables may hold: `f32`, `f64` or `i64`.
pub trait Number: sealed::Sealed + Entry + Copy + Default + PartialEq + std::fmt::Debug + Send + 'static {
    /// The name of the type on the wire.
    const DTYPE: Dtype;
    /// The numbers of `values`, if they have this type.
    fn slice(values: &Values) -> Option<&[Self]>;
    /// The vector inside `values`, if it has this type.
    fn vec_mut(values: &mut Values) -> Option<&mut Vec<Self>>;
    /// The vector inside `values`, if it has this type.
    fn unwrap(values: Values) -> Option<Vec<Self>>;
    /// Values of this type.
    fn wrap(list: Vec<Self>) -> Values;
    /// The sum: wrapping for integers.
    fn plus(self, other: Self) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
}

macro_rules! number {
    ($t:ty, $name:ident, $plus:expr) => {
        impl Number for $t {
            const DTYPE: Dtype = Dtype::$name;
            fn slice(values: &Values) -> Option<&[Self]> {
                if let Values::$name(v) = values { Some(v) } else { None }
            }
            fn vec_mut(values: &mut Values) -> Option<&mut Vec<Self>> {
                if let Values::$name(v) = values { Some(v) } else { None }
            }
            fn unwrap(values: Values) -> Option<Vec<Self>> {
                if let Values::$name(v) = values { Some(v) } else { None }
            }
            fn wrap(list: Vec<Self>) -> Values {
                Values::$name(list)
            }
            #[inline]
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }
        }
    };
}

number!(f32, F32, |a: f32, b: f32| a + b);
number!(f64, F64, |a: f64, b: f64| a + b);
number!(i64, I64, i64::wrapping_add);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_undoes_keep() {
        let all = Values::from(vec![1i64, 2, 3, 4, 5, 6]);
        let (mut a, mut b) = (all.clone(), all.clone());
        a.keep_rows([0, 2].into_iter(), 2);
        b.keep_rows([1].into_iter(), 2);
        assert_eq!(a.merge_rows(&b, &[false, true, false], 2), all);
    }

    #[test]
    fn scatter_undoes_gather() {
        let all = Values::from(vec![1i64, 2, 3, 4, 5, 6]);
        let (a, b) = ([0u32, 2], [1u32]);
        let mut back = Values::empty(Dtype::I64);
        for index in [&a[..], &b[..]] {
            let mut part = Values::empty(Dtype::I64);
            part.gather(&all, index, 2);
            back.scatter(&part, index, 2, 3);
        }
        assert_eq!(back, all);
    }
}
