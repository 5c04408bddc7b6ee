//! Tables as packed rows: each column is a field, as a column of a CSV file is.
//!
//! Training numbers the keys of the table from 0 and trains on the numbers, which lie in the order of the keys; the model
//! then gets the keys back. Runs of keys that never meet in a row (the categories of a column) become one block each.

use crate::arrays::{Csr, Ids};
use crate::column::{Cell, Column, View};
use crate::error::{self, value};
use crate::model::column_of;
use crate::rows::{self, Rows};
use handcar_base::key::{self, Key};
use handcar_data::{
    Dataset, FieldKind, FieldSpec, Format, HashKind, LabelSpec, Missing, SCHEMA_VERSION, Schema, Selection, Unseen,
    name_of_key,
};
use handcar_train::model::{Model, Names, SeenKeys};
use pyo3::prelude::*;
use std::collections::HashMap;

/// What the keys of packed data stand for.
pub struct Layout {
    /// How a table becomes keys.
    pub schema: Schema,
    /// The key behind each number.
    pub keys: Vec<Key>,
    /// Texts behind hashed keys.
    texts: HashMap<Key, String>,
}

/// Numbers are taken as they are, texts as categories.
pub fn schema_of(columns: &[Column<'_>]) -> PyResult<Schema> {
    if columns.len() > key::FIELD_MAX as usize {
        let expected = format!("at most {} columns in a table (X.to_numpy() has no such bound)", key::FIELD_MAX);
        return Err(value("X", expected, columns.len()));
    }
    let mut fields: Vec<FieldSpec> = Vec::with_capacity(columns.len());
    for (column, id) in columns.iter().zip(1..) {
        let name = column.name().to_string();
        if fields.iter().any(|f| f.name == name) {
            return Err(value("X", "columns with different names", format!("two columns {name:?}")));
        }
        let kind = match column {
            Column::Numbers(..) => FieldKind::Number,
            Column::Texts(..) => FieldKind::Text,
        };
        fields.push(FieldSpec { id, name, kind });
    }
    Ok(Schema {
        version: SCHEMA_VERSION,
        format: Format::Csv,
        fields,
        select: Selection::default(),
        crosses: Vec::new(),
        label: LabelSpec::default(),
        weight: None,
        bits: key::VALUE_BITS,
        seed: 0,
        zero_based: false,
        hash: HashKind::Handcar,
        missing: Missing::OwnCategory,
        unseen: Unseen::CountedZero,
    })
}

/// A column's cells: for each row one more than the place of its token among the sorted tokens, 0 for none.
struct Placed {
    tokens: Vec<u64>,
    rows: Vec<u32>,
    /// Absent where all are 1.
    values: Option<Vec<f32>>,
}

fn place(view: &View<'_>, field: &FieldSpec, schema: &Schema, known: impl Iterator<Item = u64>) -> PyResult<Placed> {
    let mut numbers = HashMap::new();
    let mut tokens = Vec::new();
    let mut rows = vec![0u32; view.len()];
    let mut values = (field.kind == FieldKind::Number).then(|| vec![1.0; view.len()]);
    let mut number = |token| {
        *numbers.entry(token).or_insert_with(|| {
            tokens.push(token);
            tokens.len() as u32
        })
    };
    for token in known {
        number(token);
    }
    let mut of_code = vec![None; view.texts()];
    // Rows of numbers mostly have the one token that raw numbers have.
    let mut last = (u64::MAX, 0);
    view.for_each(field, schema, |row, code, cell| {
        let Cell::Token(token, x) = cell else { return };
        rows[row] = match of_code.get_mut(code) {
            Some(known) => *known.get_or_insert_with(|| number(token)),
            None if last.0 == token => last.1,
            None => {
                last = (token, number(token));
                last.1
            }
        };
        if let Some(values) = &mut values {
            values[row] = x;
        }
    })?;
    let mut order: Vec<usize> = (0..tokens.len()).collect();
    order.sort_unstable_by_key(|&i| tokens[i]);
    let mut place = vec![0u32; tokens.len() + 1];
    for (to, &from) in order.iter().enumerate() {
        place[from + 1] = to as u32 + 1;
    }
    rows.iter_mut().for_each(|r| *r = place[*r as usize]);
    Ok(Placed { tokens: order.into_iter().map(|i| tokens[i]).collect(), rows, values })
}

/// Packs a table under the schema of its columns, which says what labels may be. `known`: keys that are numbered too, though no row
/// may have them.
pub fn pack(
    schema: Schema,
    columns: &[View<'_>],
    known: &[Key],
    labels: &[f32],
    weights: Option<&[f32]>,
    join: bool,
) -> PyResult<Rows> {
    let n = labels.len();
    let (mut keys, mut placed, mut texts) = (Vec::new(), Vec::with_capacity(columns.len()), HashMap::new());
    for (view, field) in columns.iter().zip(&schema.fields) {
        if view.len() != n {
            return Err(value("X", format!("{n} rows in column {:?}, one for each label", field.name), view.len()));
        }
        let of_field = |k: &&Key| key::field_of(**k) == field.id;
        let column = place(view, field, &schema, known.iter().filter(of_field).map(|&k| key::value_of(k)))?;
        let base = keys.len() as u32;
        keys.extend(column.tokens.iter().map(|&t| key::compose(field.id, t)));
        placed.push((base, column));
        if let (View::Texts { texts: all, .. }, FieldKind::Text) = (view, &field.kind) {
            let of = |t: &String| key::of_text(field.id, t.as_bytes(), schema.seed, schema.bits);
            texts.extend(all.iter().map(|t| (of(t), t.clone())));
        }
    }
    let (mut offsets, mut ids) = (Vec::with_capacity(n + 1), Vec::with_capacity(n * placed.len()));
    let mut values = placed.iter().any(|p| p.1.values.is_some()).then(|| Vec::with_capacity(ids.capacity()));
    offsets.push(0u64);
    for row in 0..n {
        for (base, column) in &placed {
            if column.rows[row] > 0 {
                ids.push(base + column.rows[row] - 1);
                if let Some(values) = &mut values {
                    values.push(column.values.as_ref().map_or(1.0, |v| v[row]));
                }
            }
        }
        offsets.push(ids.len() as u64);
    }
    drop(placed);
    let csr = Csr { offsets: offsets.into(), ids: Ids::Narrow(ids.into()), values: values.map(Into::into) };
    let packed = rows::pack(csr, schema.label.kind, labels, weights, join)?;
    Ok(Rows { layout: Some(Layout { schema, keys, texts }), ..packed })
}

/// Packs a table under another's numbers; cells that the other does not have are left out, as their weights are 0.
pub fn pack_alike(layout: &Layout, columns: &[View<'_>], labels: &[f32], weights: Option<&[f32]>) -> PyResult<Rows> {
    let (n, schema) = (labels.len(), &layout.schema);
    let mut cells: Vec<Vec<(u32, f32)>> = vec![Vec::new(); n];
    for field in &schema.fields {
        column_of(columns, field, n)?.for_each(field, schema, |row, _, cell| {
            let Cell::Token(token, x) = cell else { return };
            if let Ok(number) = layout.keys.binary_search(&key::compose(field.id, token)) {
                cells[row].push((number as u32, x));
            }
        })?;
    }
    let mut offsets = vec![0u64];
    offsets.extend(cells.iter().scan(0, |end, row| {
        *end += row.len() as u64;
        Some(*end)
    }));
    let (ids, values): (Vec<u32>, Vec<f32>) = cells.into_iter().flatten().unzip();
    let csr = Csr { offsets: offsets.into(), ids: Ids::Narrow(ids.into()), values: Some(values.into()) };
    rows::pack(csr, schema.label.kind, labels, weights, false)
}

impl Layout {
    /// Gives a model trained on numbers the keys they stand for. `before`: a model that may know names of keys that no row has.
    pub fn name(&self, model: Model, before: Option<&Model>) -> Model {
        let keys: Vec<Key> = model.keys.iter().map(|&number| self.keys[number as usize]).collect();
        let name_before = |k: &Key| {
            let before = before.filter(|_| !self.texts.contains_key(k))?;
            before.keys.binary_search(k).ok().map(|i| before.name(i).into_owned())
        };
        let named = |&k: &Key| name_of_key(&self.schema, k, self.texts.get(&k).map(String::as_str)).into_owned();
        let name = |k: &Key| name_before(k).unwrap_or_else(|| named(k));
        let names: Vec<String> = keys.iter().map(name).collect();
        // Numbers name themselves: then no names need be stored.
        let known = keys.iter().zip(&names).all(|(&k, n)| *n == name_of_key(&self.schema, k, None));
        Model {
            names: if known { Names::default() } else { names.iter().collect() },
            seen: SeenKeys::new(&self.keys),
            schema: self.schema.clone(),
            keys,
            ..model
        }
    }

    /// Rows under the keys that their numbers stand for, for what goes by fields.
    pub fn in_fields(&self, data: &Dataset) -> PyResult<Dataset> {
        let keys = data.keys().iter().map(|&number| self.keys[number as usize]).collect();
        let mut schema = self.schema.clone();
        schema.label = data.schema().label.clone();
        data.with_keys(keys, schema).map_err(error::data)
    }

    /// The reverse of [`Layout::name`], for a model to begin with: keys that this table does not have are left out.
    pub fn number(&self, model: &Model) -> Model {
        let found = |(&k, &w): (&Key, &f32)| self.keys.binary_search(&k).ok().map(|i| (i as Key, w));
        let (keys, weights) = model.keys.iter().zip(&model.weights).filter_map(found).unzip();
        Model { keys, weights, names: Names::default(), ..model.clone() }
    }
}
