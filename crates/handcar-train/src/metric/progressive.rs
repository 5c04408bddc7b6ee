//! Measures of predictions made before their row was learned from, in one sweep and bounded memory.

use super::Metrics;

/// Margins beyond this fall into the outermost bins.
const MARGIN_MAX: f32 = 16.0;
/// Bins of margins on either side of 0.
const SIDE: usize = 4096;
/// The largest example weight.
const ONE: i64 = 1 << 20;

/// Sums over rows that do not depend on their order: parts of the rows may be added in any, and joined.
///
/// AUC is that of margins rounded to 1/256: ties within a bin count half.
#[derive(Clone, Debug, PartialEq)]
pub struct Progressive {
    /// Negative and positive rows of some weight.
    rows: [i64; 2],
    /// Loss, in units of the caller's.
    loss: i64,
    /// Weight of negative and positive rows, and of those on the right side of 0, times [`ONE`].
    mass: [i64; 2],
    right: i64,
    /// Weight of negative and positive rows by margin.
    bins: Vec<[i64; 2]>,
}

impl Default for Progressive {
    fn default() -> Self {
        Self { rows: [0; 2], loss: 0, mass: [0; 2], right: 0, bins: vec![[0; 2]; 2 * SIDE] }
    }
}

impl Progressive {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row: its margin, whether it is positive, its example weight as a share of the largest there is, in `[0, 1]`, and its
    /// loss, weighted alike, in any integer unit.
    #[inline]
    pub fn add(&mut self, margin: f32, positive: bool, weight: f32, loss: i64) {
        let weight = (weight * ONE as f32 + 0.5) as i64;
        self.rows[positive as usize] += (weight > 0) as i64;
        self.loss += loss;
        self.mass[positive as usize] += weight;
        self.right += if (margin > 0.0) == positive { weight } else { 0 };
        let at = margin.clamp(-MARGIN_MAX, MARGIN_MAX) * (SIDE as f32 / MARGIN_MAX) + SIDE as f32;
        self.bins[(at as usize).min(2 * SIDE - 1)][positive as usize] += weight;
    }

    /// Adds a row that is of no class: of its measures there is only the loss.
    #[inline]
    pub fn add_loss(&mut self, weight: f32, loss: i64) {
        let weight = (weight * ONE as f32 + 0.5) as i64;
        self.rows[0] += (weight > 0) as i64;
        self.loss += loss;
        self.mass[0] += weight;
    }

    /// Rows of some weight.
    pub fn rows(&self) -> u64 {
        (self.rows[0] + self.rows[1]) as u64
    }

    /// The summed loss, in the unit it was given in.
    pub fn loss(&self) -> i64 {
        self.loss
    }

    /// Summed example weight, in the unit of the largest.
    pub fn mass(&self) -> f64 {
        (self.mass[0] + self.mass[1]) as f64 / ONE as f64
    }

    /// Adds the rows of another one.
    pub fn join(&mut self, other: &Self) {
        self.read_words(&self.to_words().iter().zip(other.to_words()).map(|(a, b)| a + b).collect::<Vec<_>>());
    }

    /// Goes over to coarser units, of `2^loss` and `2^weight` of those before: what is finer is lost.
    pub fn coarsen(&mut self, loss: i32, weight: i32) {
        let shorter = |x: &mut i64, by: i32| *x >>= by.clamp(0, 63);
        shorter(&mut self.loss, loss);
        shorter(&mut self.right, weight);
        self.mass.iter_mut().chain(self.bins.iter_mut().flatten()).for_each(|x| shorter(x, weight));
    }

    /// The sums as integers: those of several workers may be added up.
    pub fn to_words(&self) -> Vec<i64> {
        [self.rows[0], self.rows[1], self.loss, self.mass[0], self.mass[1], self.right]
            .into_iter()
            .chain(self.bins.iter().flatten().copied())
            .collect()
    }

    /// Takes the sums from what [`to_words`](Self::to_words) gave.
    pub fn read_words(&mut self, words: &[i64]) {
        if let [down, up, loss, negative, positive, right, bins @ ..] = words {
            (self.rows, self.loss, self.mass, self.right) = ([*down, *up], *loss, [*negative, *positive], *right);
            for (bin, pair) in self.bins.iter_mut().zip(bins.chunks_exact(2)) {
                *bin = [pair[0], pair[1]];
            }
        }
    }

    /// The measures, given the summed logistic loss; what the rows leave undefined is absent.
    pub fn metrics(&self, logloss_sum: Option<f64>) -> Metrics {
        let mass = self.mass();
        if mass <= 0.0 {
            return Metrics::default();
        }
        let logloss = logloss_sum.map(|sum| sum / mass);
        let share = self.mass[1] as f64 / (ONE as f64 * mass);
        let entropy = -(share * share.ln() + (1.0 - share) * (1.0 - share).ln());
        let two = self.mass[0] > 0 && self.mass[1] > 0;
        Metrics {
            logloss,
            auc: self.auc(),
            ne: logloss.filter(|_| two).map(|l| l / entropy),
            accuracy: Some(self.right as f64 / ONE as f64 / mass),
            ..Metrics::default()
        }
    }

    /// Area under the ROC curve of the binned margins; `None` with one class.
    pub fn auc(&self) -> Option<f64> {
        let [negative, positive] = self.mass.map(|m| m as f64);
        if negative <= 0.0 || positive <= 0.0 {
            return None;
        }
        let (mut area, mut below) = (0.0, 0.0);
        for &[n, p] in &self.bins {
            area += p as f64 * (below + 0.5 * n as f64);
            below += n as f64;
        }
        Some(area / (negative * positive))
    }

    /// Standard error of [`auc`](Self::auc), by the variances of each class's placements (DeLong, DeLong and
    /// Clarke-Pearson, Biometrics 1988); rows are taken to be independent and of about equal weight.
    pub fn auc_error(&self) -> Option<f64> {
        let area = self.auc()?;
        let [negative, positive] = self.mass.map(|m| m as f64);
        let (mut below, mut placed) = ([0.0f64; 2], [0.0f64; 2]);
        for &[n, p] in &self.bins {
            let (n, p) = (n as f64, p as f64);
            // The share of the other class that a row of this bin is on the right side of.
            let of_positive = (below[0] + 0.5 * n) / negative;
            let of_negative = (positive - below[1] - 0.5 * p) / positive;
            placed[1] += p * (of_positive - area).powi(2);
            placed[0] += n * (of_negative - area).powi(2);
            below = [below[0] + n, below[1] + p];
        }
        let [down, up] = self.rows.map(|n| (n as f64 - 1.0).max(1.0));
        Some((placed[1] / positive / up + placed[0] / negative / down).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Scored, auc, cases};
    use handcar_base::{Rng, Seed};

    #[test]
    fn binned_measures_agree_with_exact_ones() {
        for seed in (0..20).step_by(2) {
            let (m, y, _) = cases::random(seed, 500);
            let mut p = Progressive::new();
            m.iter().zip(&y).for_each(|(&m, &y)| p.add(m as f32, y > 0.0, 1.0, 0));
            let exact = Metrics::of(&Scored::new(&m, &y, None).unwrap());
            // Margins of these rows are multiples of 1/2: no two different ones share a bin.
            assert!((p.auc().unwrap() - exact.auc.unwrap()).abs() < 1e-12);
            let of = p.metrics(exact.logloss.map(|l| l * 500.0));
            assert!((of.ne.unwrap() - exact.ne.unwrap()).abs() < 1e-9);
            assert_eq!(of.logloss, exact.logloss);
        }
    }

    #[test]
    fn coarser_units_leave_the_means_as_they_are() {
        let mut p = Progressive::new();
        (0..1000).for_each(|i| p.add(i as f32 / 500.0 - 1.0, i % 3 > 0, 1.0, 1 << 24));
        let before = (p.auc(), p.loss() as f64 / p.mass(), p.metrics(None).accuracy);
        p.coarsen(7, 5);
        assert_eq!((p.auc(), p.loss() as f64 * 4.0 / p.mass(), p.metrics(None).accuracy), before);
    }

    #[test]
    fn parts_join_to_the_whole() {
        let (m, y, w) = cases::random(7, 300);
        let w = w.unwrap();
        let mut whole = Progressive::new();
        let mut parts = [Progressive::new(), Progressive::new()];
        for i in 0..300 {
            whole.add(m[i] as f32, y[i] > 0.0, w[i] / 3.0, i as i64);
            parts[i % 2].add(m[i] as f32, y[i] > 0.0, w[i] / 3.0, i as i64);
        }
        let [mut a, b] = parts;
        a.join(&b);
        assert_eq!(a, whole);
    }

    #[test]
    fn the_error_bar_covers_what_new_rows_give() {
        // AUC of many sets drawn alike: their spread is what the error bar of one says.
        let draw = |seed| {
            let mut r = Rng::new(Seed(seed), 0);
            let mut p = Progressive::new();
            for _ in 0..2000 {
                let positive = r.uniform() < 0.3;
                let m = (0..6).map(|_| r.uniform() - 0.5).sum::<f64>() + if positive { 0.6 } else { 0.0 };
                p.add(m as f32, positive, 1.0, 0);
            }
            (p.auc().unwrap(), p.auc_error().unwrap())
        };
        let all: Vec<(f64, f64)> = (0..200).map(draw).collect();
        let mean = all.iter().map(|a| a.0).sum::<f64>() / 200.0;
        let spread = (all.iter().map(|a| (a.0 - mean).powi(2)).sum::<f64>() / 199.0).sqrt();
        let told = all.iter().map(|a| a.1).sum::<f64>() / 200.0;
        assert!((told / spread - 1.0).abs() < 0.15, "{told} {spread}");
        assert!(auc(&Scored::new(&[1.0], &[1.0], None).unwrap()).is_none());
    }

    #[test]
    fn one_class_leaves_auc_undefined() {
        let mut p = Progressive::new();
        assert_eq!(p.metrics(None), Metrics::default());
        p.add(0.5, true, 1.0, 3);
        assert_eq!((p.auc(), p.auc_error(), p.metrics(None).accuracy), (None, None, Some(1.0)));
    }
}
