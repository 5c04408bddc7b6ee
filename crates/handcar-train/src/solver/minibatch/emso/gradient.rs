//! Proximal gradient steps on a subproblem.

use super::Inner;
use super::subproblem::Subproblem;
use crate::loss::Loss;

/// Steps `w ← prox_{penalty/q}(w - ∇/q)` with `q` so large that the subproblem lies below its bound
/// `s(w) + ∇·d + (q/2)·‖d‖²`: it is doubled until that holds. `curvature`, what `q` has beyond `ρ`, is remembered from batch to
/// batch, and tried at half at the first step of each.
pub(super) fn run<L: Loss>(problem: &mut Subproblem<'_, L>, inner: Inner, curvature: &mut f64) {
    let held = problem.held;
    let (mut slopes, mut first) = (Vec::new(), 0.0);
    let n = problem.solution.len();
    let (mut gradient, mut next, mut changes) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut smooth = problem.smooth(&problem.solution, &problem.margins);
    *curvature *= 0.5;
    for step in 0..inner.iterations {
        problem.slopes(&mut slopes, None);
        gradient.fill(0.0);
        for group in &problem.batch.groups {
            group.column.add_gradients(&slopes, &mut gradient[group.keys.clone()]);
        }
        let mut worst = 0f64;
        for (k, g) in gradient.iter_mut().enumerate() {
            *g += held.rho * (problem.solution[k] - held.anchor[k]);
            worst = worst.max(held.penalty(k).violation(problem.solution[k], *g));
        }
        if step == 0 {
            first = worst;
        }
        if worst <= inner.tol * first {
            return;
        }
        loop {
            let q = held.rho + *curvature;
            let (mut bound, mut length) = (smooth, 0.0);
            for k in 0..n {
                next[k] = held.penalty(k).step(problem.solution[k], gradient[k], q);
                changes[k] = next[k] - problem.solution[k];
                bound += gradient[k] * changes[k];
                length += changes[k] * changes[k];
            }
            let mut margins = problem.margins.clone();
            for group in &problem.batch.groups {
                group.column.add_changes(&changes[group.keys.clone()], &mut margins);
            }
            let found = problem.smooth(&next, &margins);
            // Sums of this many losses are not more exact.
            let slack = 1e-12 * smooth.abs();
            if found <= bound + 0.5 * q * length + slack || !found.is_finite() && q > f64::MAX / 4.0 {
                problem.solution.copy_from_slice(&next);
                problem.margins = margins;
                smooth = found;
                break;
            }
            *curvature = (2.0 * *curvature).max(held.rho);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Batches;
    use super::super::inner::Method;
    use super::super::subproblem::Held;
    use super::*;
    use crate::loss::Logistic;
    use crate::penalty::ElasticNet;
    use handcar_data::Dataset;

    #[test]
    fn one_step_is_a_step_of_sgd() {
        let labels = [1.0, -1.0, 1.0];
        let data = Dataset::from_csr(&labels, &[0, 2, 3, 5], &[0u32, 1, 1, 0, 2], None, None).unwrap();
        let batch = Batches::new(&data).of(&(0..3), Some(3));
        let share = ElasticNet::new(0.1, 0.3);
        let held = Held { anchor: vec![0.2, -0.1, 0.05, 0.4], rho: 1.5, share, intercept: Some(3) };
        let margins = vec![0.5, 0.3, 0.65];
        let mut problem = Subproblem::new(Logistic, &batch, &held, &labels, &[], 1.0, margins.clone());
        let mut curvature = 0.0;
        run(&mut problem, Inner { method: Method::Gradient, iterations: 1, tol: 0.0 }, &mut curvature);
        let slope: Vec<f64> =
            margins.iter().zip(labels).map(|(m, y)| -y as f64 / (1.0 + (y as f64 * m).exp())).collect();
        let gradient = [slope[0] + slope[2], slope[0] + slope[1], slope[2], slope.iter().sum()];
        let e = 1.0 / (held.rho + curvature);
        for (k, g) in gradient.into_iter().enumerate() {
            let (w, of) = (held.anchor[k], held.penalty(k));
            let expected = crate::penalty::soft(w - e * g, e * of.l1) / (1.0 + e * of.l2);
            assert!((problem.solution[k] - expected).abs() < 1e-7, "{k}: {} {expected}", problem.solution[k]);
        }
        // The curvature that it found is no more than twice what the rows can have.
        assert!((0.0..=2.0 * 0.25 * 8.0).contains(&curvature), "{curvature}");
    }
}
