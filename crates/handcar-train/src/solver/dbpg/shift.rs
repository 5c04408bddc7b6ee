//! The step along the shared direction.
//!
//! Every complete one-hot block contains the constant column: adding `t` to all weights of one block and taking it from
//! another (or from the intercept) changes no margin, so no proximal step of a single block can see that the L1 norm
//! would fall. This step finds the best such shifts exactly: minimise `Σ_f Σ_k |w_fk + t_f|` subject to `Σ_f t_f = 0`
//! (free with an intercept). Each block's norm is convex and piecewise linear in `t_f`, so it suffices to move the pair
//! of blocks with the steepest joint descent to the next breakpoint, again and again. No data are read.

/// A block's part: sorted breakpoints `-w` and the shift so far. Without breakpoints it is the intercept.
struct Part {
    breakpoints: Vec<f32>,
    shift: f32,
}

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
        Way { slope, part, next: self.breakpoints.get(below).copied() }
    }

    fn down(&self, part: usize) -> Way {
        let below = self.breakpoints.partition_point(|b| *b < self.shift);
        let slope = self.breakpoints.len() as i64 - 2 * below as i64;
        Way { slope, part, next: below.checked_sub(1).map(|i| self.breakpoints[i]) }
    }
}

/// The best shifts of blocks with these weights, one for each block, and what the intercept takes (0 without one).
pub(super) fn best_shifts(blocks: &[&[f32]], intercept: bool) -> (Vec<f32>, f32) {
    let mut parts: Vec<Part> = blocks
        .iter()
        .map(|w| {
            let mut breakpoints: Vec<f32> = w.iter().map(|x| -x).collect();
            breakpoints.sort_by(f32::total_cmp);
            Part { breakpoints, shift: 0.0 }
        })
        .collect();
    if intercept {
        parts.push(Part { breakpoints: Vec::new(), shift: 0.0 });
    }
    // Every step ends on a breakpoint of one of the two parts, going strictly downhill; the bound guards rounding.
    let steps_max = 4 * parts.iter().map(|p| p.breakpoints.len()).sum::<usize>();
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
            let (t, taken) = best_shifts(&views, intercept);
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
    fn nothing_moves_when_zeros_hold_it() {
        let (t, taken) = best_shifts(&[&[0.0, 0.0, 0.5], &[0.0, -0.25, 0.0]], false);
        assert_eq!((t, taken), (vec![0.0, 0.0], 0.0));
        assert_eq!(best_shifts(&[], true), (vec![], 0.0));
    }
}
