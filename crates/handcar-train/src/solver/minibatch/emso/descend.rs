//! Coordinate descent on a subproblem, group by group.

use super::Inner;
use super::batch::Group;
use super::column::Column;
use super::extrapolate::Extrapolate;
use super::subproblem::Subproblem;
use crate::loss::Loss;

/// How far a key's first step may change a margin.
const FIRST_REACH: f64 = 1.0;

/// Each weight in turn goes to the minimum of `g·(v - w) + (u/2)·(v - w)² + (ρ/2)·(v - z)² + penalty(v)` with
/// `|v - w| <= δ`, where the curvature `u` bounds that of the loss as far as `δ` reaches: no step raises the subproblem. `δ` is
/// twice the last step, or half of what it was. Keys of a one-hot group share no rows, so their steps, taken at once, are those
/// they would take in turn.
pub(super) fn run<L: Loss>(problem: &mut Subproblem<'_, L>, inner: Inner) {
    let mut reach = reaches(problem);
    let mut room = Room::default();
    let (mut first, mut extrapolate) = (0.0, Extrapolate::default());
    for sweep in 0..inner.iterations {
        let mut worst = 0f64;
        let batch = problem.batch;
        for group in &batch.groups {
            worst = worst.max(room.sweep(problem, group, &mut reach));
        }
        if sweep == 0 {
            first = worst;
        }
        if worst <= inner.tol * first {
            return;
        }
        if sweep + 1 < inner.iterations {
            extrapolate.after_sweep(problem);
        }
    }
}

/// How far each key's weight may move at first.
fn reaches<L>(problem: &Subproblem<'_, L>) -> Vec<f64> {
    let mut reach = vec![FIRST_REACH; problem.solution.len()];
    for Group { keys, column } in &problem.batch.groups {
        if let Column::ByKey { values: Some(_), .. } = column {
            for (k, reach) in reach[keys.clone()].iter_mut().enumerate() {
                let most = column.of_key(k).map(|(_, x)| x.abs()).fold(0.0, f32::max);
                if most > 0.0 {
                    *reach = FIRST_REACH / most as f64;
                }
            }
        }
    }
    reach
}

/// Buffers of a group.
#[derive(Default)]
struct Room {
    slopes: Vec<f32>,
    curvatures: Vec<f32>,
    reach: Vec<f32>,
    /// Gradient and curvature of each key.
    sums: Vec<[f64; 2]>,
    changes: Vec<f64>,
}

impl Room {
    /// Takes the steps of a group's keys. The largest violation that any had before its own.
    fn sweep<L: Loss>(&mut self, problem: &mut Subproblem<'_, L>, group: &Group, reach: &mut [f64]) -> f64 {
        let Group { keys, column } = group;
        self.changes.clear();
        self.changes.resize(keys.len(), 0.0);
        let mut worst = 0f64;
        match column {
            Column::OneHot(at) => {
                self.reach.clear();
                let of_keys = &reach[keys.clone()];
                self.reach.extend(at.iter().map(|&at| match at {
                    0 => 0.0,
                    n => of_keys[n as usize - 1] as f32,
                }));
                problem.slopes(&mut self.slopes, Some((&mut self.curvatures, &self.reach)));
                self.sums.clear();
                self.sums.resize(keys.len() + 1, [0.0; 2]);
                for ((&at, &d), &h) in at.iter().zip(&self.slopes).zip(&self.curvatures) {
                    let [g, u] = &mut self.sums[at as usize];
                    *g += d as f64;
                    *u += h as f64;
                }
                for (k, change) in keys.clone().zip(&mut self.changes) {
                    let sums = self.sums[k - keys.start + 1];
                    worst = worst.max(step(problem, k, sums, &mut reach[k], change));
                }
                column.add_changes(&self.changes, &mut problem.margins);
            }
            Column::ByKey { .. } => {
                for (i, k) in keys.clone().enumerate() {
                    let [mut g, mut u] = [0.0; 2];
                    for (row, x) in column.of_key(i) {
                        let (m, y, c) = (problem.margins[row] as f32, problem.label(row), problem.weight(row));
                        let far = reach[k] as f32 * x.abs();
                        g += c * problem.loss.derivative(m, y) as f64 * x as f64;
                        u += c * problem.loss.curvature(m, y, far) as f64 * (x as f64 * x as f64);
                    }
                    let mut change = 0.0;
                    worst = worst.max(step(problem, k, [g, u], &mut reach[k], &mut change));
                    if change != 0.0 {
                        column.of_key(i).for_each(|(row, x)| problem.margins[row] += change * x as f64);
                    }
                }
            }
            Column::Ones => {
                let k = keys.start;
                problem.slopes(&mut self.slopes, Some((&mut self.curvatures, &[reach[k] as f32])));
                let sum = |of: &[f32]| of.iter().map(|&x| x as f64).sum::<f64>();
                let sums = [sum(&self.slopes), sum(&self.curvatures)];
                worst = step(problem, k, sums, &mut reach[k], &mut self.changes[0]);
                column.add_changes(&self.changes, &mut problem.margins);
            }
        }
        worst
    }
}

/// A key's step, given gradient and curvature of the losses along it. Its violation before.
#[inline(always)]
fn step<L>(problem: &mut Subproblem<'_, L>, key: usize, [g, u]: [f64; 2], reach: &mut f64, change: &mut f64) -> f64 {
    let (held, w) = (problem.held, problem.solution[key]);
    let (rho, penalty) = (held.rho, held.penalty(key));
    let slope = g + rho * (w - held.anchor[key]);
    let goal = penalty.step(w, slope, u + rho);
    let moved = (goal - w).clamp(-*reach, *reach);
    // Where the goal is near, it is met to the bit: a zero is a zero.
    let next = if moved == goal - w { goal } else { w + moved };
    *change = next - w;
    *reach = (2.0 * moved.abs()).max(0.5 * *reach);
    problem.solution[key] = next;
    penalty.violation(w, slope)
}
