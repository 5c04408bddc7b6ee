//! Row-wise kernels of the logistic loss `log(1 + exp(-y·m))`, and its statistics in order-free fixed point.

use crate::elementary::{exp_nonpositive, exp_nonpositive_f32, ln, ln_1p_unit};
use crate::isa::for_each_isa;

/// One in the fixed-point form of row statistics: a row's gradient lies in `[-ONE, ONE]`.
pub const ONE: f32 = (1u32 << 30) as f32;

/// Gradient and curvature of one row's loss, times [`ONE`].
pub type RowStatistics = [i32; 2];

/// Both halves as one word: two widenings and an or, where two stores would cost a shuffle a row.
#[inline(always)]
fn pack(g: i32, h: i32) -> RowStatistics {
    let word = if cfg!(target_endian = "little") {
        (h as u32 as u64) << 32 | g as u32 as u64
    } else {
        (g as u32 as u64) << 32 | h as u32 as u64
    };
    // SAFETY: eight bytes either way, and every bit pattern is a pair of i32.
    unsafe { std::mem::transmute::<u64, RowStatistics>(word) }
}

for_each_isa! {
    /// Gradient `-y·q·c` and curvature `q·(1-q)·c` of every row, `q = 1/(1+exp(y·m))`, truncated to fixed point.
    ///
    /// `margins`: f64 scores `⟨x_i,w⟩` (label not multiplied in). `labels`: ±1. `weights`: example weights scaled into
    /// `[0, 1]`, or empty for all ones. All slices of equal length `[rows]`. `q` is computed in f32: a step does not
    /// need more, and whoever needs `q` itself (the certificate) reads it back from the fixed-point number.
    pub fn statistics / statistics_on(margins: &[f64], labels: &[f32], weights: &[f32], out: &mut [RowStatistics]) {
        let n = out.len();
        let (margins, labels) = (&margins[..n], &labels[..n]);
        #[inline(always)]
        fn row(m: f64, y: f32) -> (f32, f32) {
            let z = m as f32 * y;
            let e = exp_nonpositive_f32(-z.abs());
            let d = 1.0 / (1.0 + e);
            let q = if z >= 0.0 { e * d } else { d };
            (-y * q, e * d * d)
        }
        if weights.is_empty() {
            for i in 0..n {
                let (g, h) = row(margins[i], labels[i]);
                // A NaN becomes a bound here, as it becomes 0 below; labels beyond ±1 saturate.
                #[expect(clippy::manual_clamp, reason = "clamp keeps a NaN, max and min drop it")]
                let (g, h) = ((g * ONE).max(-ONE).min(ONE), (h * ONE).max(0.0).min(ONE));
                // SAFETY: max and min of a number leave a finite value of magnitude at most 2^30.
                out[i] = unsafe { pack(g.to_int_unchecked(), h.to_int_unchecked()) };
            }
        } else {
            let weights = &weights[..n];
            for i in 0..n {
                let (g, h) = row(margins[i], labels[i]);
                out[i] = pack((g * weights[i] * ONE) as i32, (h * weights[i] * ONE) as i32);
            }
        }
    }
}

for_each_isa! {
    /// `q·c` of every row, `q = 1/(1+exp(y·m))`, to the nearest in fixed point: in the first half for label 1, in the second
    /// for -1, the other half being 0. The gradient is the second less the first.
    ///
    /// Arguments as of [`statistics`]. `q` is computed in f64: differences of gradients need more of it than a step.
    pub fn class_gradients / class_gradients_on(
        margins: &[f64], labels: &[f32], weights: &[f32], out: &mut [RowStatistics]
    ) {
        let n = out.len();
        let (margins, labels) = (&margins[..n], &labels[..n]);
        #[inline(always)]
        fn row(m: f64, y: f32, c: f64) -> RowStatistics {
            let z = m * y as f64;
            let e = exp_nonpositive(-z.abs());
            let d = 1.0 / (1.0 + e);
            let q = if z >= 0.0 { e * d } else { d };
            let fixed = (q * c * ONE as f64 + 0.5).max(0.0).min(ONE as f64);
            // SAFETY: max and min of a number leave a finite value of magnitude at most 2^30.
            let q: i32 = unsafe { fixed.to_int_unchecked() };
            if y > 0.0 { pack(q, 0) } else { pack(0, q) }
        }
        if weights.is_empty() {
            for i in 0..n {
                out[i] = row(margins[i], labels[i], 1.0);
            }
        } else {
            let weights = &weights[..n];
            for i in 0..n {
                out[i] = row(margins[i], labels[i], weights[i] as f64);
            }
        }
    }
}

for_each_isa! {
    /// The loss `log(1 + exp(-y·m))` of every row (example weights not applied).
    pub fn losses / losses_on(margins: &[f64], labels: &[f32], out: &mut [f64]) {
        let n = out.len();
        let (margins, labels) = (&margins[..n], &labels[..n]);
        for i in 0..n {
            let z = margins[i] * labels[i] as f64;
            let hinge = if z < 0.0 { -z } else { 0.0 };
            out[i] = hinge + ln_1p_unit(exp_nonpositive(-z.abs()));
        }
    }
}

for_each_isa! {
    /// The negative entropy `p·ln p + (1-p)·ln(1-p)` of every row, 0 at the ends.
    pub fn negative_entropies / negative_entropies_on(p: &[f64], out: &mut [f64]) {
        #[inline(always)]
        fn x_ln_x(x: f64) -> f64 {
            x * ln(if x > f64::MIN_POSITIVE { x } else { 1.0 })
        }
        let p = &p[..out.len()];
        for i in 0..out.len() {
            out[i] = x_ln_x(p[i]) + x_ln_x(1.0 - p[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    fn rows() -> (Vec<f64>, Vec<f32>, Vec<f32>) {
        let m: Vec<f64> = (0..4099).map(|i| (i as f64 - 2050.0) * 0.0173).chain([0.0, 1e9, -1e9, 1e300]).collect();
        let y = (0..m.len()).map(|i| if i % 3 == 0 { 1.0 } else { -1.0 }).collect();
        let c = (0..m.len()).map(|i| (i % 5) as f32 / 4.0).collect();
        (m, y, c)
    }

    #[test]
    fn statistics_match_the_reference() {
        let (m, y, c) = rows();
        for weights in [&[][..], &c] {
            let mut out = vec![[0; 2]; m.len()];
            statistics(&m, &y, weights, &mut out);
            for i in 0..m.len() {
                let q = 1.0 / (1.0 + (m[i] * y[i] as f64).exp());
                let w = weights.get(i).map_or(1.0, |&w| w as f64);
                let (g, h) = (-(y[i] as f64) * q * w, q * (1.0 - q) * w);
                let one = ONE as f64;
                let close = |got: i32, want: f64| (got as f64 / one - want).abs() < 2e-6 * (want.abs() + 1e-3);
                assert!(close(out[i][0], g) && close(out[i][1], h), "{} {:?} {g} {h}", m[i], out[i]);
            }
        }
    }

    #[test]
    fn class_gradients_match_the_reference() {
        let (mut m, mut y, mut c) = rows();
        m.push(f64::NAN);
        y.push(1.0);
        c.push(1.0);
        for weights in [&[][..], &c] {
            let mut out = vec![[0; 2]; m.len()];
            class_gradients(&m, &y, weights, &mut out);
            for i in 0..m.len() - 1 {
                let q = 1.0 / (1.0 + (m[i] * y[i] as f64).exp()) * weights.get(i).map_or(1.0, |&w| w as f64);
                let [own, other] = if y[i] > 0.0 { out[i] } else { [out[i][1], out[i][0]] };
                assert!((own as f64 / ONE as f64 - q).abs() < 6e-10 && other == 0, "{} {:?} {q}", m[i], out[i]);
            }
            assert_eq!(out[m.len() - 1], [ONE as i32, 0], "no number is a bound");
        }
    }

    #[test]
    fn every_instruction_set_gives_equal_bits() {
        let (m, y, c) = rows();
        let run = |isa| {
            let mut s = vec![[0; 2]; m.len()];
            statistics_on(isa, &m, &y, &c, &mut s);
            let mut g = vec![[0; 2]; m.len()];
            class_gradients_on(isa, &m, &y, &c, &mut g);
            let mut l = vec![0.0; m.len()];
            losses_on(isa, &m, &y, &mut l);
            let p: Vec<f64> = s.iter().map(|s| s[0].unsigned_abs() as f64 / ONE as f64).collect();
            let mut e = vec![0.0; m.len()];
            negative_entropies_on(isa, &p, &mut e);
            let bits = |v: Vec<f64>| v.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            (s, g, bits(l), bits(e))
        };
        let base = run(Isa::Baseline);
        assert_eq!(base, run(Isa::Avx2));
        assert_eq!(base, run(Isa::Avx512));
    }

    #[test]
    fn losses_and_entropies_match_the_reference() {
        let (m, y, _) = rows();
        let mut out = vec![0.0; m.len()];
        losses(&m, &y, &mut out);
        for i in 0..m.len() {
            let z = m[i] * y[i] as f64;
            let want = (-z).max(0.0) + (-z.abs()).exp().ln_1p();
            assert!((out[i] - want).abs() <= 1e-14 * want.max(1e-290), "{z} {} {want}", out[i]);
        }
        let p = [0.0, 1.0, 0.5, 0.25, 1e-9];
        let mut out = [0.0; 5];
        negative_entropies(&p, &mut out);
        assert_eq!((out[0], out[1]), (0.0, 0.0));
        assert!((out[2] + std::f64::consts::LN_2).abs() < 1e-15);
    }
}
