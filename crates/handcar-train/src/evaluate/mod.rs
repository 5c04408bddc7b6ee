//! Evaluation of a model on rows that stream by: all measures, calibration, and the same by the values of some fields.
//!
//! ```
//! use handcar_data::{CachePolicy, ReadOptions, batches};
//! use handcar_train::{evaluate::Evaluator, model::{Facts, Model}};
//! let dir = tempfile::tempdir()?;
//! let file = dir.path().join("rows.csv").display().to_string();
//! std::fs::write(&file, "country,click\nat,1\nde,0\nat,0\n")?;
//! let options = ReadOptions { label: Some("click".into()), cache: CachePolicy::off(), ..ReadOptions::default() };
//! let data = handcar_data::read(&[file.clone()], &options)?;
//! let model = Model::from_solution(&data, &[0.5, 0.0], -1.0, Facts::default());
//! let mut evaluator = Evaluator::new(&model, &["country".to_string()])?;
//! let mut rows = batches(&[file], &model.schema, &options, 1000)?;
//! rows.note_texts(&evaluator.fields());
//! while let Some(batch) = rows.next().transpose()? {
//!     let mut margins = Vec::new();
//!     model.margins(&batch.offsets, &batch.ids, None, &batch.keys, &mut margins);
//!     evaluator.add(&batch, &margins)?;
//! }
//! let found = evaluator.finish(50, |key| rows.text_of(key))?;
//! assert_eq!((found.rows, &*found.slices[0].values[0].value, found.slices[0].values[0].rows), (3, "at", 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod field;
mod told;

pub use error::EvaluateError;
pub use field::SliceField;
pub use told::{Evaluated, Slice, SliceTable};

use crate::loss::LossKind;
use crate::metric::{ScoredError, Slices, Tally};
use crate::model::Model;
use handcar_base::{Field, Key};
use handcar_data::{Batch, LabelKind, Schema};

/// Takes scored rows batch by batch, in memory that does not depend on how many there are.
#[derive(Clone, Debug)]
pub struct Evaluator {
    schema: Schema,
    loss: LossKind,
    rows: usize,
    all: Tally,
    slices: Vec<(SliceField, Slices)>,
}

impl Evaluator {
    /// Measures a model on all rows, and by the values of each of these fields.
    ///
    /// # Errors
    /// [`EvaluateError`] of a field that the model's data do not have, and of a loss that this build does not know.
    pub fn new(model: &Model, fields: &[String]) -> Result<Self, EvaluateError> {
        let Some(loss) = model.facts.loss_kind() else {
            return Err(EvaluateError::Loss { got: model.facts.loss_name.clone() });
        };
        let slice = |(i, name): (usize, &String)| match fields[..i].contains(name) {
            true => Err(EvaluateError::Twice { field: name.clone() }),
            false => Ok((SliceField::new(&model.schema, name)?, Slices::new(loss))),
        };
        let slices = fields.iter().enumerate().map(slice).collect::<Result<_, _>>()?;
        Ok(Self { schema: model.schema.clone(), loss, rows: 0, all: Tally::new(loss), slices })
    }

    /// The fields whose keys' texts [`finish`](Self::finish) can use, for [`Batches::note_texts`](handcar_data::Batches::note_texts).
    pub fn fields(&self) -> Vec<Field> {
        self.slices.iter().map(|(field, _)| field.id()).collect()
    }

    /// Adds rows with their margins.
    ///
    /// # Errors
    /// [`EvaluateError`] of rows without labels, or with a label, weight or margin that cannot be measured.
    pub fn add(&mut self, batch: &Batch, margins: &[f64]) -> Result<(), EvaluateError> {
        let labels = batch.labels.as_deref().ok_or(EvaluateError::Unlabelled)?;
        for (what, got) in [("labels", labels.len()), ("rows", batch.rows())] {
            if got != margins.len() {
                return Err(ScoredError::Length { margins: margins.len(), what, got }.into());
            }
        }
        let of_classes = self.loss.labels() == LabelKind::Binary;
        for (field, _) in &mut self.slices {
            field.begin(&batch.keys);
        }
        for (row, (&margin, &label)) in margins.iter().zip(labels).enumerate() {
            let weight = batch.weights.as_ref().map_or(1.0, |w| w[row] as f64);
            let bad = |expected, got| ScoredError::Value { row: self.rows + row, expected, got };
            if !margin.is_finite() {
                return Err(bad("a finite margin", margin).into());
            }
            if !label.is_finite() || of_classes && label.abs() != 1.0 {
                let expected = if of_classes { "a label of -1 or +1" } else { "a finite label" };
                return Err(bad(expected, label as f64).into());
            }
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(bad("a finite weight of at least 0", weight).into());
            }
            self.all.add(margin, label, weight);
            let (ids, values) = batch.csr().row(row);
            for (field, slices) in &mut self.slices {
                field.for_each_value(ids, values, &batch.keys, |value| slices.add(value, margin, label, weight));
            }
        }
        self.rows += margins.len();
        Ok(())
    }

    /// The measures. Of each field at most `most` values are told, those with the most rows; `text_of`: the texts that keys come
    /// from, as far as they are known.
    ///
    /// # Errors
    /// [`EvaluateError::Namespace`] if no row had a field that is only known by what comes.
    pub fn finish<'t>(self, most: usize, text_of: impl Fn(Key) -> Option<&'t str>) -> Result<Evaluated, EvaluateError> {
        let Self { schema, rows, all, slices, .. } = self;
        let tables = slices.into_iter().map(|(field, slices)| {
            let ranked = slices.ranked(most);
            if schema.field_names().is_empty() && rows > 0 && ranked.most.iter().all(|(v, _)| field.is_missing(*v)) {
                return Err(EvaluateError::Namespace { field: field.name().into() });
            }
            let name = |value| field.name_of(value, &schema, text_of(value));
            Ok(SliceTable {
                field: field.name().into(),
                values: ranked.most.iter().map(|(value, tally)| Slice::new(name(*value), tally)).collect(),
                other: ranked.other.map(|tally| Slice::new("(other)".into(), &tally)),
                others: ranked.others,
                approximate: ranked.approximate,
            })
        });
        let slices = tables.collect::<Result<_, _>>()?;
        Ok(Evaluated {
            rows: all.rows(),
            loss: all.loss_sum(),
            metrics: all.metrics(),
            calibration: all.deciles(),
            slices,
        })
    }
}
