//! A trained sparse linear model: its nonzero weights, how to read its data, and the facts of its training.

mod aside;
mod error;
mod facts;
mod fields;
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

use handcar_base::Key;
use handcar_data::{Dataset, Schema, name_of_key};
use std::borrow::Cow;

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
    /// Keeps the nonzero weights of a solution over all keys of its training data.
    ///
    /// # Panics
    /// If there is not one weight for each of [`Dataset::keys`].
    pub fn from_solution(data: &Dataset, weights: &[f32], intercept: f64, facts: Facts) -> Self {
        Self::of_weights(data.schema(), data.keys(), weights, data.texts(), intercept, facts)
    }

    /// Keeps the nonzero weights of `keys`, of which there is one for each, as there is a text or none.
    pub(crate) fn of_weights<'t>(
        schema: &Schema,
        keys: &[Key],
        weights: &[f32],
        texts: impl Iterator<Item = Option<&'t str>>,
        intercept: f64,
        facts: Facts,
    ) -> Self {
        assert_eq!(keys.len(), weights.len(), "one weight for each key");
        let nnz = weights.iter().filter(|&&w| w != 0.0).count();
        let (mut kept, mut values, mut named) =
            (Vec::with_capacity(nnz), Vec::with_capacity(nnz), Vec::with_capacity(nnz));
        // Raw ids and numbers name themselves: then no names need be stored.
        let mut known = true;
        for ((&key, &weight), text) in keys.iter().zip(weights).zip(texts).filter(|((_, w), _)| **w != 0.0) {
            known =
                known && text.is_none_or(|text| name_of_key(schema, key, Some(text)) == name_of_key(schema, key, None));
            kept.push(key);
            values.push(weight);
            named.push(text);
        }
        let name = |(&key, text): (&Key, Option<&'t str>)| name_of_key(schema, key, text);
        let names = if known { Names::default() } else { kept.iter().zip(named).map(name).collect() };
        let facts = Facts { nnz: nnz as u64, features: keys.len() as u64, ..facts };
        let (seen, schema) = (SeenKeys::new(keys), schema.clone());
        Self { keys: kept, weights: values, intercept, names, seen, schema, facts }
    }

    /// The model with the nonzero weights of more keys, all of which have been seen. `before`: a model that may know their names.
    pub(crate) fn with_others(self, before: Option<&Self>, keys: &[Key], weights: &[f32]) -> Self {
        let (kept, values): (Vec<Key>, Vec<f32>) = keys.iter().zip(weights).filter(|(_, w)| **w != 0.0).unzip();
        let stored = !self.names.is_empty() || before.is_some_and(|b| !b.names.is_empty());
        let name_in = |m: &Self, k: Key| m.keys.binary_search(&k).ok().map(|i| m.name(i).into_owned());
        let name = |&k: &Key| {
            let known = name_in(&self, k).or_else(|| before.and_then(|b| name_in(b, k)));
            known.unwrap_or_else(|| name_of_key(&self.schema, k, None).into_owned())
        };
        let names: Vec<String> = if stored { kept.iter().map(name).collect() } else { Vec::new() };
        Self {
            facts: Facts { nnz: kept.len() as u64, features: keys.len() as u64, ..self.facts },
            keys: kept,
            weights: values,
            names: names.iter().collect(),
            seen: SeenKeys::new(keys),
            ..self
        }
    }

    /// Number of nonzero weights.
    pub fn nnz(&self) -> usize {
        self.keys.len()
    }

    /// The name of nonzero weight `i`: the stored one, or else what its key says.
    pub fn name(&self, i: usize) -> Cow<'_, str> {
        match self.names.get(i) {
            Some(name) => Cow::Borrowed(name),
            None => name_of_key(&self.schema, self.keys[i], None),
        }
    }

    /// Indices of the `most` weights of the largest magnitude, from the largest on; equal ones by key.
    pub fn strongest(&self, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.nnz()).collect();
        let stronger = |a: &usize, b: &usize| self.weights[*b].abs().total_cmp(&self.weights[*a].abs()).then(a.cmp(b));
        if most < order.len() {
            order.select_nth_unstable_by(most, stronger);
            order.truncate(most);
        }
        order.sort_unstable_by(stronger);
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

    /// Four keys, one of weight zero, and names.
    pub(crate) fn small() -> Model {
        let data = Dataset::from_csr(&[1.0, -1.0], &[0, 2, 4], &[2u64, 5, 9, 77], None, None).unwrap();
        let facts = Facts { objective: 12.25, loss: 11.5, rows: 40, passes: 3, l1: 1.0, ..Facts::default() };
        let names = ["two", "nine", "field=tab\there"].into_iter().collect();
        Model { names, ..Model::from_solution(&data, &[0.5, 0.0, -2.0, 2.0], -0.125, facts) }
    }

    #[test]
    fn only_nonzero_weights_are_kept() {
        let m = small();
        assert_eq!(m.keys, [2, 9, 77]);
        assert_eq!(m.weights, [0.5, -2.0, 2.0]);
        assert_eq!((m.facts.nnz, m.facts.features), (3, 4));
        assert_eq!((m.weight(9), m.weight(5)), (-2.0, 0.0));
    }

    #[test]
    fn strongest_weights_come_first_and_ties_by_key() {
        assert_eq!(small().strongest(3), [1, 2, 0]);
        assert_eq!((small().strongest(2), small().strongest(0)), (vec![1, 2], vec![]));
    }

    #[test]
    fn features_without_names_are_called_by_their_key() {
        let m = Model { names: Names::default(), ..small() };
        assert_eq!((m.name(0), m.name(2)), ("2".into(), "77".into()));
    }
}
