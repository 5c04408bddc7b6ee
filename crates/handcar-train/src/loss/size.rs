//! How large the numbers of a loss get.

/// What fixed-point sums over rows must have room for, as powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// A derivative by the margin is at most two to this, or is taken as that much.
    pub slope: i32,
    /// A loss is at most two to this, or is taken as that much where rows are told of before they are learned from. Objectives
    /// know no such bound.
    pub value: i32,
}

impl Size {
    /// [`value`](Self::value) with labels of at most 1: a loss of 1024.
    pub const UNIT_VALUE: i32 = 10;
}

/// The least `e` with every value at most `2^e` in magnitude, within bounds that keep `2^e` a number.
pub(crate) fn exponent(values: &[f32]) -> i32 {
    let most = values.iter().fold(0f32, |m, x| m.max(x.abs()));
    if most == 0.0 {
        return 0;
    }
    let e = (most.to_bits() >> 23) as i32 - 127;
    (if most > 2f32.powi(e) { e + 1 } else { e }).clamp(-60, 60)
}
