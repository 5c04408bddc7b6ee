//! What the worker half asks of the updater: task arguments, server functions, and their bytes.

/// How the updater bounds the curvature of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// At most one entry of value 1 a row: the pushed curvature, grown by the key's own trust region, is exact.
    OneHot,
    /// The pushed number is a bound while no weight moves further than this.
    Within(f64),
    /// The bound that always holds, pushed once by [`Request::Cap`].
    Always,
}

/// What to do with a push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Request {
    /// Store the curvature bound that always holds: pushed `[bound / scale, _]`.
    Cap { scale: f64 },
    /// Start from the f32 weight whose bits were pushed as an integer by one worker (the others push 0).
    Start,
    /// Set the weight to the f32 whose bits were pushed as an integer by one worker (the others push 0), and move its
    /// memory along.
    Place,
    /// Set the weight to the f32 whose bits were pushed as an integer by one worker (the others push 0), and keep its memory.
    Set,
    /// Proximal step: pushed `[gradient / gradient_scale, curvature / curvature_scale]`.
    Step {
        gradient_scale: f64,
        curvature_scale: f64,
        bound: Bound,
        /// Over-relaxation: the step is this many times the safe one, in (0, 2).
        relax: f64,
        /// A zero weight with `|g| <= l1 - slack` leaves the active set; negative: none does.
        slack: f64,
    },
    /// Measure the gradient at a fixed point: pushed `[gradient / gradient_scale, _]`. With `renew` a zero weight is
    /// active afterwards if its gradient is within that of `l1`; negative: every one is.
    Measure { gradient_scale: f64, renew: Option<f64> },
}

/// A server function.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Function {
    /// Sum of |w|, of w², and the number of nonzero weights.
    Penalty,
    /// Extrapolate every weight by `beta` times its last change; see `momentum`.
    Extrapolate { beta: f64 },
    /// Add a constant to all weights of a key range `[first, last]`.
    Shift { ranges: Vec<(u64, u64, f32)> },
}

fn put(out: &mut Vec<u8>, tag: u8, numbers: &[f64]) {
    out.push(tag);
    numbers.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
}

fn numbers<const N: usize>(bytes: &[u8]) -> Option<[f64; N]> {
    let mut out = [0.0; N];
    if bytes.len() != 8 * N {
        return None;
    }
    for (x, b) in out.iter_mut().zip(bytes.chunks_exact(8)) {
        *x = f64::from_le_bytes(b.try_into().ok()?);
    }
    Some(out)
}

impl Request {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48);
        match self {
            Self::Cap { scale } => put(&mut out, 0, &[scale]),
            Self::Start => put(&mut out, 1, &[]),
            Self::Place => put(&mut out, 4, &[]),
            Self::Set => put(&mut out, 5, &[]),
            Self::Step { gradient_scale, curvature_scale, bound, relax, slack } => {
                let (kind, trust) = match bound {
                    Bound::OneHot => (0.0, 0.0),
                    Bound::Within(trust) => (1.0, trust),
                    Bound::Always => (2.0, 0.0),
                };
                put(&mut out, 2, &[gradient_scale, curvature_scale, kind, trust, relax, slack]);
            }
            Self::Measure { gradient_scale, renew } => match renew {
                None => put(&mut out, 3, &[gradient_scale]),
                Some(slack) => put(&mut out, 3, &[gradient_scale, slack]),
            },
        }
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        Some(match tag {
            0 => Self::Cap { scale: numbers::<1>(rest)?[0] },
            1 if rest.is_empty() => Self::Start,
            4 if rest.is_empty() => Self::Place,
            5 if rest.is_empty() => Self::Set,
            2 => {
                let [gradient_scale, curvature_scale, kind, trust, relax, slack] = numbers(rest)?;
                let bound = match kind as i64 {
                    0 => Bound::OneHot,
                    1 => Bound::Within(trust),
                    2 => Bound::Always,
                    _ => return None,
                };
                Self::Step { gradient_scale, curvature_scale, bound, relax, slack }
            }
            3 => match numbers(rest) {
                Some([gradient_scale, slack]) => Self::Measure { gradient_scale, renew: Some(slack) },
                None => Self::Measure { gradient_scale: numbers::<1>(rest)?[0], renew: None },
            },
            _ => return None,
        })
    }
}

impl Function {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Penalty => put(&mut out, 0, &[]),
            Self::Extrapolate { beta } => put(&mut out, 1, &[*beta]),
            Self::Shift { ranges } => {
                out.push(2);
                for (first, last, by) in ranges {
                    out.extend_from_slice(&first.to_le_bytes());
                    out.extend_from_slice(&last.to_le_bytes());
                    out.extend_from_slice(&by.to_le_bytes());
                }
            }
        }
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        Some(match tag {
            0 if rest.is_empty() => Self::Penalty,
            1 => Self::Extrapolate { beta: numbers::<1>(rest)?[0] },
            2 if rest.len() % 20 == 0 => {
                let range = |b: &[u8]| {
                    Some((
                        u64::from_le_bytes(b[..8].try_into().ok()?),
                        u64::from_le_bytes(b[8..16].try_into().ok()?),
                        f32::from_le_bytes(b[16..].try_into().ok()?),
                    ))
                };
                Self::Shift { ranges: rest.chunks_exact(20).map(range).collect::<Option<_>>()? }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_strange_ones_are_refused() {
        let step = |bound| Request::Step { gradient_scale: 0.5, curvature_scale: 2.0, bound, relax: 1.2, slack: -1.0 };
        let requests = [
            Request::Cap { scale: 3.0 },
            Request::Start,
            Request::Place,
            Request::Set,
            step(Bound::OneHot),
            step(Bound::Within(0.3)),
        ];
        for r in requests
            .into_iter()
            .chain([step(Bound::Always), Request::Measure { gradient_scale: 1.0, renew: Some(0.1) }])
        {
            let bytes = r.to_bytes();
            assert_eq!(Request::from_bytes(&bytes), Some(r));
            assert_eq!(Request::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
        for f in
            [Function::Penalty, Function::Extrapolate { beta: 0.4 }, Function::Shift { ranges: vec![(1, 9, -0.5)] }]
        {
            let bytes = f.to_bytes();
            assert_eq!(Function::from_bytes(&bytes), Some(f));
        }
        assert_eq!((Request::from_bytes(&[9]), Function::from_bytes(&[2, 1])), (None, None));
    }
}
