//! A trained sparse linear model: its nonzero weights, how to read its data, and the facts of its training.

mod aside;
mod error;
mod facts;
mod file;
mod names;
mod score;
mod seen;
mod text;

pub use aside::write_aside;
pub use error::ModelError;
pub use facts::Facts;
pub use file::{FORMAT_VERSION, is_model};
pub use names::Names;
pub use score::{Unseen, probability};
pub use seen::SeenKeys;

use handcar_base::{Key, key};
use std::borrow::Cow;

/// How rows become keys and values.
pub type Schema = serde_json::Value;

/// A linear model `margin(x) = intercept + Σ_k w_k·x_k`, with only the nonzero weights kept.
///
/// Everything in it is a deterministic result of data, options and seed, so equal runs give equal files.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Keys of the nonzero weights, strictly increasing.
    pub keys: Vec<Key>,
    /// The nonzero weights, one for each key.
    pub weights: Vec<f32>,
    /// The intercept; 0 when there is none.
    pub intercept: f64,
    /// Names of the features behind `keys`; may be empty, see [`Model::name`].
    pub names: Names,
    /// Every key of the training data, so that a value never seen can be told from one that got weight zero.
    pub seen: SeenKeys,
    /// How rows become keys and values.
    pub schema: Schema,
    /// What the training found.
    pub facts: Facts,
}

impl Model {
    /// Keeps the nonzero weights of a solution over all `keys` of the training data (sorted, strictly increasing).
    /// `name` gives the name of the feature at an index of `keys`; `None` where it has no better name than its key.
    ///
    /// # Panics
    /// If `keys` and `weights` differ in length.
    pub fn from_solution(
        schema: Schema,
        keys: &[Key],
        weights: &[f32],
        intercept: f64,
        facts: Facts,
        mut name: impl FnMut(usize) -> Option<String>,
    ) -> Self {
        assert_eq!(keys.len(), weights.len(), "one weight for each key");
        let kept: Vec<usize> = (0..keys.len()).filter(|&i| weights[i] != 0.0).collect();
        let names: Option<Vec<String>> = kept.iter().map(|&i| name(i)).collect();
        Self {
            keys: kept.iter().map(|&i| keys[i]).collect(),
            weights: kept.iter().map(|&i| weights[i]).collect(),
            intercept,
            names: names.map(|n| n.iter().collect()).unwrap_or_default(),
            seen: SeenKeys::new(keys),
            schema,
            facts: Facts { nnz: kept.len() as u64, features: keys.len() as u64, ..facts },
        }
    }

    /// Number of nonzero weights.
    pub fn nnz(&self) -> usize {
        self.keys.len()
    }

    /// The name of nonzero weight `i`: the stored one, or else the raw id, or else `field:value`.
    pub fn name(&self, i: usize) -> Cow<'_, str> {
        match self.names.get(i) {
            Some(name) => Cow::Borrowed(name),
            None => {
                let k = self.keys[i];
                Cow::Owned(match key::field_of(k) {
                    0 => key::value_of(k).to_string(),
                    field => format!("{field}:{:x}", key::value_of(k)),
                })
            }
        }
    }

    /// Indices of the weights from the largest magnitude to the smallest; equal ones by key.
    pub fn strongest(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.nnz()).collect();
        order.sort_by(|&a, &b| self.weights[b].abs().total_cmp(&self.weights[a].abs()).then(a.cmp(&b)));
        order
    }

    /// The weight of a key; zero when none is stored.
    pub fn weight(&self, key: Key) -> f32 {
        self.keys.binary_search(&key).map_or(0.0, |i| self.weights[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn small() -> Model {
        let keys = [2, 5, 9, key::compose(3, 77)];
        let name = |i: usize| Some(["two", "five", "nine", "field=tab\there"][i].to_string());
        let facts = Facts { objective: 12.25, loss: 11.5, rows: 40, passes: 3, l1: 1.0, ..Facts::default() };
        Model::from_solution(Schema::default(), &keys, &[0.5, 0.0, -2.0, 2.0], -0.125, facts, name)
    }

    #[test]
    fn only_nonzero_weights_are_kept() {
        let m = small();
        assert_eq!(m.keys, [2, 9, key::compose(3, 77)]);
        assert_eq!(m.weights, [0.5, -2.0, 2.0]);
        assert_eq!((m.facts.nnz, m.facts.features), (3, 4));
        assert_eq!((m.weight(9), m.weight(5)), (-2.0, 0.0));
    }

    #[test]
    fn strongest_weights_come_first_and_ties_by_key() {
        assert_eq!(small().strongest(), [1, 2, 0]);
    }

    #[test]
    fn features_without_names_are_called_by_their_key() {
        let m = Model { names: Names::default(), ..small() };
        assert_eq!((m.name(0), m.name(2)), ("2".into(), "3:4d".into()));
    }
}
