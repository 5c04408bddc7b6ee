//! What the worker half asks of the updater: task arguments, server functions, and their bytes.

use handcar_ps::Entry;

/// What to do with a push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Request {
    /// Start from the f32 weight whose bits were pushed as an integer by one worker (the others push 0).
    Start,
    /// The scale of the weight is `curvature^-power`, the curvature that of l2 and `unit` times the second sum pushed.
    Scale { unit: f64, power: f64 },
    /// The gradient at the weights on trial: pushed two sums, `gradient[0]·first + gradient[1]·second`; the same with
    /// `dual` is the key's part of the dual gradient.
    Gradient { gradient: [f64; 2], dual: [f64; 2] },
}

/// A server function.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Function {
    /// Weights and gradients on trial become those that count, and the pair of their changes goes to a slot. The answer has
    /// the dot products of these vectors of the basis with all of it, whose exponents are given.
    Commit { slot: usize, exponents: Vec<i32>, vectors: Vec<usize> },
    /// The direction with these coefficients, and one of the pseudo-gradient alone for keys at zero.
    Direct { s: Vec<f64>, y: Vec<f64>, pg: f64, at_zero: f64 },
    /// Try a step of this length; 0 returns to the weights.
    Try { a: f64 },
    /// Try the weights rounded to f32.
    Round,
}

impl Request {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(33);
        match self {
            Self::Start => out.push(0),
            Self::Scale { unit, power } => (2u8, unit, power).write(&mut out),
            Self::Gradient { gradient, dual } => {
                out.push(1);
                [gradient, dual].write(&mut out);
            }
        }
        out
    }

    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let found = match u8::read(from)? {
            0 => Self::Start,
            1 => {
                let [gradient, dual] = Entry::read(from)?;
                Self::Gradient { gradient, dual }
            }
            2 => {
                let [unit, power] = Entry::read(from)?;
                Self::Scale { unit, power }
            }
            _ => return None,
        };
        from.is_empty().then_some(found)
    }
}

impl Function {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Commit { slot, exponents, vectors } => {
                (0u8, *slot as u32).write(&mut out);
                exponents.iter().for_each(|e| e.write(&mut out));
                vectors.iter().for_each(|&v| (v as u32).write(&mut out));
            }
            Self::Direct { s, y, pg, at_zero } => {
                out.push(1);
                s.iter().chain(y).chain([pg, at_zero]).for_each(|x| x.write(&mut out));
            }
            Self::Try { a } => (2u8, *a).write(&mut out),
            Self::Round => out.push(3),
        }
        out
    }

    /// `slots`: pairs that the table has room for.
    pub fn from_bytes(mut bytes: &[u8], slots: usize) -> Option<Self> {
        fn many<T: Entry>(n: usize, from: &mut &[u8]) -> Option<Vec<T>> {
            (0..n).map(|_| T::read(from)).collect()
        }
        let from = &mut bytes;
        let found = match u8::read(from)? {
            0 => {
                let slot = u32::read(from)? as usize;
                let exponents: Vec<i32> = many(2 * slots + 1, from)?;
                let vectors: Vec<u32> = many(from.len() / 4, from)?;
                let vectors: Vec<usize> = vectors.into_iter().map(|v| v as usize).collect();
                // Beyond these, products and their quanta would be no numbers.
                let numbers = exponents.iter().all(|e| (-400..=400).contains(e));
                let sound = slot < slots && numbers && vectors.iter().all(|&v| v <= 2 * slots);
                sound.then_some(Self::Commit { slot, exponents, vectors })?
            }
            1 => {
                let (s, y) = (many(slots, from)?, many(slots, from)?);
                let [pg, at_zero] = Entry::read(from)?;
                Self::Direct { s, y, pg, at_zero }
            }
            2 => Self::Try { a: f64::read(from)? },
            3 => Self::Round,
            _ => return None,
        };
        from.is_empty().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_strange_ones_are_refused() {
        for r in [
            Request::Start,
            Request::Scale { unit: 2.0, power: 0.5 },
            Request::Gradient { gradient: [1.0, -2.0], dual: [0.5, 3.0] },
        ] {
            let bytes = r.to_bytes();
            assert_eq!(Request::from_bytes(&bytes), Some(r));
            assert_eq!(Request::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
        for f in [
            Function::Commit { slot: 1, exponents: vec![1, -2, 3, 400, -400], vectors: vec![4, 0] },
            Function::Direct { s: vec![1.0, 2.0], y: vec![3.0, 4.0], pg: -1.0, at_zero: -2.0 },
            Function::Try { a: 0.5 },
            Function::Round,
        ] {
            let bytes = f.to_bytes();
            assert_eq!(Function::from_bytes(&bytes, 2), Some(f));
            assert_eq!(Function::from_bytes(&bytes[..bytes.len() - 1], 2), None);
        }
        for (slot, e, v) in [(2, 0, 0), (0, 401, 0), (0, 0, 5)] {
            let bad = Function::Commit { slot, exponents: vec![e; 5], vectors: vec![v] };
            assert_eq!(Function::from_bytes(&bad.to_bytes(), 2), None);
        }
        assert_eq!((Request::from_bytes(&[9]), Function::from_bytes(&[9], 2)), (None, None));
    }
}
