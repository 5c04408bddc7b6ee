//! `Entry`: what a server holds for one key, and its bytes for other servers and checkpoints.

/// Value and state of one key. The bytes are read again by the same updater, perhaps on another machine.
///
/// Implemented for numbers, `bool`, pairs, triples and arrays of these; a type of one's own writes its fields in turn:
///
/// ```
/// use handcar_ps::Entry;
/// #[derive(Clone, PartialEq, Debug)]
/// struct Momentum { weight: f32, velocity: f32 }
/// impl Entry for Momentum {
///     fn write(&self, out: &mut Vec<u8>) {
///         (self.weight, self.velocity).write(out);
///     }
///     fn read(from: &mut &[u8]) -> Option<Self> {
///         <(f32, f32)>::read(from).map(|(weight, velocity)| Self { weight, velocity })
///     }
/// }
/// let (m, mut bytes) = (Momentum { weight: 1.0, velocity: 2.0 }, Vec::new());
/// m.write(&mut bytes);
/// assert_eq!(Momentum::read(&mut &bytes[..]), Some(m));
/// ```
pub trait Entry: Clone + Send + 'static {
    /// Appends the entry's bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes an entry from the front of some bytes; `None` if they are none.
    fn read(from: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($t:ty)*) => { $(
        impl Entry for $t {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn read(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        }
    )* };
}

numbers!(u8 u16 u32 u64 i8 i16 i32 i64 f32 f64);

impl Entry for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }
    fn read(from: &mut &[u8]) -> Option<Self> {
        match u8::read(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<A: Entry, B: Entry> Entry for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(from: &mut &[u8]) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?))
    }
}

impl<A: Entry, B: Entry, C: Entry> Entry for (A, B, C) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
    fn read(from: &mut &[u8]) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?, C::read(from)?))
    }
}

impl<T: Entry, const N: usize> Entry for [T; N] {
    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|t| t.write(out));
    }
    fn read(from: &mut &[u8]) -> Option<Self> {
        let all: Option<Vec<T>> = (0..N).map(|_| T::read(from)).collect();
        all?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn comes_back<T: Entry + PartialEq + Debug>(entry: T) {
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        let mut rest = &bytes[..];
        assert_eq!(T::read(&mut rest), Some(entry));
        assert!(rest.is_empty());
        assert_eq!(T::read(&mut &bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn entries_come_back_and_short_bytes_are_none() {
        comes_back(-3i64);
        comes_back((f32::MIN_POSITIVE, true, [1u8, 2, 3]));
        comes_back(([(1u16, -1.5f64), (2, 0.0)], i8::MIN));
        assert_eq!(bool::read(&mut &[2u8][..]), None);
    }
}
