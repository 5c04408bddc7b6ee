//! The step along the shared direction.
//!
//! Every complete one-hot block contains the constant column: adding `t` to all weights of one block and taking it from
//! another (or from the intercept) changes no margin, so no proximal step of a single block can see that the L1 norm
//! would fall. This step finds the best such shifts exactly: minimise `Σ_f Σ_k |w_fk + t_f|` subject to `Σ_f t_f = 0`
//! (free with an intercept). Without `l2` each block's norm is convex and piecewise linear in `t_f`, so it suffices to move the pair
//! of blocks with the steepest joint descent to the next breakpoint, again and again. With `l2` each block's penalty is
//! strongly convex, and the shifts that balance are found by bisecting the price of a shift. No block is shifted further than its
//! first weight that meets a bound. No data are read.

use crate::penalty::{Bounds, ElasticNet};

/// Enough for every bit of the price.
const BISECTIONS: usize = 100;

/// A block's part: sorted breakpoints `-w`, the shift so far and its room. Without breakpoints it is the intercept.
struct Part {
    breakpoints: Vec<f32>,
    shift: f32,
    room: Room,
}

/// How far a block can be shifted before a weight meets a bound.
#[derive(Clone, Copy)]
struct Room {
    down: f32,
    up: f32,
}

impl Room {
    const ALL: Self = Self { down: f32::NEG_INFINITY, up: f32::INFINITY };

    fn of(weights: &[f32], bounds: Bounds) -> Self {
        let room = |r: Self, w: &f32| Self { down: r.down.max(bounds.lower() - w), up: r.up.min(bounds.upper() - w) };
        let room = weights.iter().fold(Self::ALL, room);
        Self { down: room.down.min(0.0), up: room.up.max(0.0) }
    }
}

/// The slope of a part that cannot move that way: above any other, and far from overflowing.
const BLOCKED: i64 = 1 << 60;

/// Slope of the norm when moving on, and how far the next breakpoint is.
#[derive(Clone, Copy)]
struct Way {
    slope: i64,
    part: usize,
    next: Option<f32>,
}

impl Part {
    fn up(&self, part: usize) -> Way {
        let below = self.breakpoints.partition_point(|b| *b <= self.shift);
        let slope = 2 * below as i64 - self.breakpoints.len() as i64;
        let slope = if self.shift >= self.room.up { BLOCKED } else { slope };
        let end = Some(self.room.up).filter(|end| end.is_finite());
        Way { slope, part, next: least(self.breakpoints.get(below).copied(), end) }
    }

    fn down(&self, part: usize) -> Way {
        let below = self.breakpoints.partition_point(|b| *b < self.shift);
        let slope = self.breakpoints.len() as i64 - 2 * below as i64;
        let slope = if self.shift <= self.room.down { BLOCKED } else { slope };
        let next = below.checked_sub(1).map(|i| self.breakpoints[i]);
        let end = Some(self.room.down).filter(|end| end.is_finite());
        Way { slope, part, next: least(next.map(|b| -b), end.map(|b| -b)).map(|b| -b) }
    }
}

/// The best shifts of blocks with these weights, one for each block, and what the intercept takes (0 without one).
pub(super) fn best_shifts(blocks: &[&[f32]], intercept: bool, penalty: ElasticNet) -> (Vec<f32>, f32) {
    if penalty.l2 > 0.0 {
        return elastic_shifts(blocks, intercept, penalty);
    }
    let mut parts: Vec<Part> = blocks
        .iter()
        .map(|w| {
            let mut breakpoints: Vec<f32> = w.iter().map(|x| -x).collect();
            breakpoints.sort_by(f32::total_cmp);
            Part { breakpoints, shift: 0.0, room: Room::of(w, penalty.bounds) }
        })
        .collect();
    if intercept {
        parts.push(Part { breakpoints: Vec::new(), shift: 0.0, room: Room::ALL });
    }
    // Every step ends on a breakpoint or the end of one of the two parts, going strictly downhill; the bound guards rounding.
    let steps_max = 4 * parts.iter().map(|p| p.breakpoints.len() + 2).sum::<usize>();
    for _ in 0..steps_max {
        let Some((up, down)) = steepest(&parts) else { break };
        if up.slope + down.slope >= 0 {
            break;
        }
        let rise = up.next.map(|b| b - parts[up.part].shift);
        let fall = down.next.map(|b| parts[down.part].shift - b);
        let (Some(by), true) = (least(rise, fall), up.part != down.part) else { break };
        // Whoever reaches its breakpoint lands on it exactly, whatever the subtraction rounded.
        parts[up.part].shift = if rise == Some(by) { up.next.unwrap_or(0.0) } else { parts[up.part].shift + by };
        parts[down.part].shift = if fall == Some(by) { down.next.unwrap_or(0.0) } else { parts[down.part].shift - by };
    }
    let taken = if intercept { parts.pop().map_or(0.0, |p| p.shift) } else { 0.0 };
    (parts.into_iter().map(|p| p.shift).collect(), taken)
}

/// A block's weights turned into sorted breakpoints, with their sum and room.
struct Elastic {
    breakpoints: Vec<f32>,
    sum: f64,
    room: Room,
}

impl Elastic {
    /// The shift at which the penalty's slope passes `price`, or the end of the room before it; a breakpoint exactly, where the slope
    /// jumps over the price.
    fn shift(&self, price: f64, p: ElasticNet) -> f64 {
        self.unbounded(price, p).clamp(self.room.down as f64, self.room.up as f64)
    }

    fn unbounded(&self, price: f64, p: ElasticNet) -> f64 {
        let n = self.breakpoints.len() as f64;
        let slope = |below: usize, t: f64| p.l1 * (2.0 * below as f64 - n) + p.l2 * (n * t - self.sum);
        let (mut low, mut high) = (0, self.breakpoints.len());
        while low < high {
            let middle = (low + high) / 2;
            if slope(middle + 1, self.breakpoints[middle] as f64) < price { low = middle + 1 } else { high = middle }
        }
        match self.breakpoints.get(low) {
            Some(&b) if slope(low, b as f64) <= price => b as f64,
            _ => (price - p.l1 * (2.0 * low as f64 - n) + p.l2 * self.sum) / (p.l2 * n),
        }
    }
}

fn elastic_shifts(blocks: &[&[f32]], intercept: bool, p: ElasticNet) -> (Vec<f32>, f32) {
    let parts: Vec<Elastic> = blocks
        .iter()
        .map(|w| {
            let mut breakpoints: Vec<f32> = w.iter().map(|x| -x).collect();
            breakpoints.sort_by(f32::total_cmp);
            let (sum, room) = (breakpoints.iter().map(|&b| b as f64).sum(), Room::of(w, p.bounds));
            Elastic { breakpoints, sum, room }
        })
        .collect();
    let shifts = |price: f64| parts.iter().map(|part| part.shift(price, p)).collect::<Vec<f64>>();
    let total = |price: f64| shifts(price).iter().sum::<f64>();
    let mut price = 0.0;
    if !intercept {
        // Shifts grow with the price: find where they balance.
        let (mut low, mut high) = (-1.0, 1.0);
        while total(low) > 0.0 && low > -1e300 {
            low *= 2.0;
        }
        while total(high) < 0.0 && high < 1e300 {
            high *= 2.0;
        }
        for _ in 0..BISECTIONS {
            price = 0.5 * (low + high);
            if total(price) < 0.0 { low = price } else { high = price }
        }
    }
    let found: Vec<f32> = shifts(price).into_iter().map(|t| t as f32).collect();
    let taken = if intercept { -found.iter().sum::<f32>() } else { 0.0 };
    (found, taken)
}

fn least(a: Option<f32>, b: Option<f32>) -> Option<f32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The pair of different parts, one moving up and one down, with the least sum of slopes; ties go to the first.
fn steepest(parts: &[Part]) -> Option<(Way, Way)> {
    let two_best = |way: &dyn Fn(usize) -> Way| {
        let mut best: Option<Way> = None;
        let mut second: Option<Way> = None;
        for i in 0..parts.len() {
            let w = way(i);
            if best.is_none_or(|b| w.slope < b.slope) {
                second = best;
                best = Some(w);
            } else if second.is_none_or(|s| w.slope < s.slope) {
                second = Some(w);
            }
        }
        best.zip(second)
    };
    let (up, up_second) = two_best(&|i| parts[i].up(i))?;
    let (down, down_second) = two_best(&|i| parts[i].down(i))?;
    Some(if up.part != down.part {
        (up, down)
    } else if up_second.slope + down.slope <= up.slope + down_second.slope {
        (up_second, down)
    } else {
        (up, down_second)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    const L1: ElasticNet = ElasticNet::new(1.0, 0.0);

    #[test]
    fn with_l2_no_small_change_of_the_shifts_lowers_the_penalty() {
        let p = ElasticNet::new(1.0, 0.7);
        let mut r = Rng::new(Seed(12), 0);
        for case in 0..60 {
            let blocks: Vec<Vec<f32>> =
                (0..3).map(|_| (0..1 + r.below(4)).map(|_| (r.below(9) as f32 - 4.0) * 0.25).collect()).collect();
            let views: Vec<&[f32]> = blocks.iter().map(|b| &b[..]).collect();
            let intercept = case % 2 == 0;
            let (t, taken) = best_shifts(&views, intercept, p);
            assert!((t.iter().sum::<f32>() + taken).abs() < 1e-5, "case {case}: {t:?} {taken}");
            let value = |t: &[f64]| {
                let all = blocks.iter().zip(t).flat_map(|(b, t)| b.iter().map(move |w| *w as f64 + t));
                all.map(|w| p.l1 * w.abs() + 0.5 * p.l2 * w * w).sum::<f64>()
            };
            let best: Vec<f64> = t.iter().map(|&t| t as f64).collect();
            for (up, down) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
                for by in [0.3, 0.01] {
                    let mut other = best.clone();
                    other[up] += by;
                    other[down] -= by;
                    assert!(value(&best) <= value(&other) + 1e-5, "case {case}: {t:?} beaten by {other:?}");
                }
            }
        }
    }

    fn norm(blocks: &[Vec<f32>], t: &[f32]) -> f64 {
        blocks.iter().zip(t).flat_map(|(b, t)| b.iter().map(move |w| (w + t).abs() as f64)).sum()
    }

    #[test]
    fn no_other_balanced_shift_has_a_smaller_norm() {
        let mut r = Rng::new(Seed(11), 0);
        for case in 0..60 {
            let blocks: Vec<Vec<f32>> =
                (0..3).map(|_| (0..1 + r.below(4)).map(|_| (r.below(9) as f32 - 4.0) * 0.25).collect()).collect();
            let views: Vec<&[f32]> = blocks.iter().map(|b| &b[..]).collect();
            let intercept = case % 2 == 0;
            let (t, taken) = best_shifts(&views, intercept, L1);
            assert!((t.iter().sum::<f32>() + taken).abs() < 1e-5);
            let best = norm(&blocks, &t);
            // All optima lie on a grid of breakpoint differences: 0.25 here.
            for a in -8..=8 {
                for b in -8..=8 {
                    for c in -8..=8 {
                        if !intercept && a + b + c != 0 {
                            continue;
                        }
                        let other = norm(&blocks, &[a as f32 * 0.25, b as f32 * 0.25, c as f32 * 0.25]);
                        assert!(best <= other + 1e-5, "case {case}: {t:?} {best} > {other}");
                    }
                }
            }
        }
    }

    #[test]
    fn with_bounds_no_other_balanced_shift_between_them_has_a_smaller_penalty() {
        let bounds = Bounds::new(-0.75, 0.5).unwrap();
        let mut r = Rng::new(Seed(13), 0);
        for case in 0..80 {
            let p = ElasticNet { l1: 1.0, l2: if case % 4 < 2 { 0.0 } else { 0.7 }, bounds };
            let blocks: Vec<Vec<f32>> =
                (0..3).map(|_| (0..1 + r.below(4)).map(|_| (r.below(6) as f32 - 3.0) * 0.25).collect()).collect();
            let views: Vec<&[f32]> = blocks.iter().map(|b| &b[..]).collect();
            let intercept = case % 2 == 0;
            let (t, taken) = best_shifts(&views, intercept, p);
            assert!((t.iter().sum::<f32>() + taken).abs() < 1e-5, "case {case}: {t:?} {taken}");
            let value = |t: &[f32]| {
                let all = blocks.iter().zip(t).flat_map(|(b, t)| b.iter().map(move |w| (*w + t) as f64));
                all.map(|w| match bounds.contain(w) {
                    true => p.l1 * w.abs() + 0.5 * p.l2 * w * w,
                    false => f64::INFINITY,
                })
                .sum::<f64>()
            };
            let held: Vec<f32> = t.iter().map(|t| (t * 1e6).round() * 1e-6).collect();
            let best = value(&held);
            assert!(best.is_finite(), "case {case}: {t:?} leaves the bounds");
            for a in -10..=10 {
                for b in -10..=10 {
                    for c in -10..=10 {
                        if intercept || a + b + c == 0 {
                            let other = value(&[a as f32 * 0.125, b as f32 * 0.125, c as f32 * 0.125]);
                            assert!(best <= other + 1e-5, "case {case}: {t:?} {best} > {other}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_moves_when_zeros_hold_it() {
        let (t, taken) = best_shifts(&[&[0.0, 0.0, 0.5], &[0.0, -0.25, 0.0]], false, L1);
        assert_eq!((t, taken), (vec![0.0, 0.0], 0.0));
        assert_eq!(best_shifts(&[], true, L1), (vec![], 0.0));
    }
}
