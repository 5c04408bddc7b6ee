//! `handcar inspect`: what a model, a cache file or a data file holds.

use crate::{
    args::{InputArgs, SchemaArgs},
    outcome::Outcome,
    progress::grouped,
    summary::{self, item},
};
use anyhow::{Result, ensure};
use clap::Args;
use handcar_data::{Dataset, Format, HashKind, LabelKind, LabelSpec, Schema};
use handcar_train::model::{Model, is_model};
use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

/// Show what a model, a cache file or a data file holds.
#[derive(Args, Debug)]
pub struct InspectArgs {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    schema: SchemaArgs,
}

/// Runs the command.
pub fn run(args: InspectArgs) -> Result<Outcome> {
    let mut text = String::new();
    match args.input.inputs.as_slice() {
        [one] if one != "-" && is_model(Path::new(one)).unwrap_or(false) => {
            model(&mut text, &Model::load(Path::new(one))?);
        }
        [one] if one != "-" && is_packed(Path::new(one)) => {
            item(&mut text, "kind", "packed data");
            data(&mut text, &Dataset::open(Path::new(one), true)?);
        }
        inputs => {
            ensure!(
                !inputs.iter().any(|i| is_model(Path::new(i)).unwrap_or(false)),
                "inspect: expected one model alone"
            );
            item(&mut text, "kind", "data");
            data(&mut text, &handcar_data::read(inputs, &args.schema.options(&args.input))?);
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Outcome::Done)
}

/// Whether a file begins like packed data of any version.
fn is_packed(path: &Path) -> bool {
    let mut start = [0; 8];
    File::open(path).and_then(|mut f| f.read_exact(&mut start)).is_ok() && &start == b"HCARPACK"
}

fn model(text: &mut String, model: &Model) {
    let f = &model.facts;
    item(text, "kind", &format!("model of handcar {}", f.version));
    summary::facts(text, model);
    let bound = |name: &str, x: Option<f64>| x.map_or(String::new(), |x| format!("{name} {x}  "));
    let bounds = bound("lower", f.lower) + &bound("upper", f.upper);
    let rest = format!("{bounds}delay {}  seed {}  intercept {}", f.delay, f.seed, f.intercept);
    let group = if f.group_lasso > 0.0 { format!("group-lasso {}  ", f.group_lasso) } else { String::new() };
    let options = format!("l1 {}  l2 {}  {group}{rest}", f.l1, f.l2);
    item(text, "options", &options);
    schema(text, &model.schema);
    summary::strongest(text, model);
}

fn data(text: &mut String, data: &Dataset) {
    let r = data.report();
    let rows = data.rows() as u64;
    let labels = match data.schema().label.kind {
        LabelKind::Binary => {
            let share = 100.0 * r.positives as f64 / (rows as f64).max(1.0);
            format!("{} positive, {share:.2}%", grouped(r.positives))
        }
        _ => {
            let (low, high) = data.labels().iter().fold((f32::MAX, f32::MIN), |(a, b), &y| (a.min(y), b.max(y)));
            format!("labels from {low} to {high}")
        }
    };
    item(text, "rows", &format!("{} ({labels})", grouped(rows)));
    item(text, "features", &grouped(data.keys().len() as u64));
    item(text, "weights", if data.weights().is_some() { "one a row" } else { "none" });
    if r.skipped > 0 {
        item(text, "skipped", &format!("{} rows; the first: {}", grouped(r.skipped), r.reasons.join("; ")));
    }
    for note in &r.notes {
        item(text, "note", note);
    }
    schema(text, data.schema());
}

fn schema(text: &mut String, schema: &Schema) {
    item(text, "format", &format!("{:?}", schema.format).to_lowercase());
    let LabelSpec { kind, column, positive, .. } = &schema.label;
    let real = (*kind != LabelKind::Binary).then(|| kind.expected().to_string());
    let positive = positive.as_ref().map(|p| format!("positive: {p}"));
    let known: Vec<String> = column.iter().cloned().chain(real).chain(positive).collect();
    if !known.is_empty() {
        item(text, "label", &known.join(", "));
    }
    item(text, "missing", "a category of its own; values not seen in training: counted, weight 0");
    let crosses = |text: &mut String, title| {
        for (n, cross) in schema.crosses.iter().enumerate() {
            item(text, if n == 0 { title } else { "" }, &format!("{:>4}  cross    {}", cross.id, cross.name()));
        }
    };
    if schema.format == Format::Vw {
        let fields = match schema.hash {
            HashKind::Handcar => "a field a namespace".to_string(),
            HashKind::Vw => format!("none; indices of {} bits as Vowpal Wabbit hashes", schema.bits),
        };
        item(text, "fields", &fields);
        for (what, names) in [("kept", &schema.select.keep), ("dropped", &schema.select.drop)] {
            if !names.is_empty() {
                item(text, what, &names.join(", "));
            }
        }
        return crosses(text, "crosses");
    }
    for (n, field) in schema.fields.iter().enumerate() {
        let kind = format!("{:?}", field.kind);
        let kind = kind.split([' ', '{']).next().unwrap_or_default().to_lowercase();
        let name = if field.name.is_empty() { "(raw ids)" } else { &field.name };
        item(text, if n == 0 { "fields" } else { "" }, &format!("{:>4}  {kind:<8} {name}", field.id));
    }
    crosses(text, "");
}
