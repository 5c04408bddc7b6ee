//! Telling format and columns from the first rows.

use crate::csv::{Labels, header, header_names, missing, missing_column, row_end, split, trim_end};
use crate::error::{DataError, Result};
use crate::label::LabelKind;
use crate::number;
use crate::options::ReadOptions;
use crate::parsed::lines;
use crate::schema::{FieldKind, FieldSpec, Format, LabelSpec, Schema};
use handcar_base::{Field, key};

/// Rows looked at.
const SAMPLE_ROWS: usize = 10_000;
/// Bins of a real-valued column: enough to follow a curve, few enough to be learnt from thousands of rows.
const BINS: usize = 32;
/// Names a label column usually has, in order of preference.
const LABEL_NAMES: [&str; 6] = ["label", "target", "click", "clicked", "class", "y"];

/// The format of text, from its first line that is not blank.
pub(crate) fn format(text: &[u8]) -> Format {
    let line = lines(text).find(|l| !l.is_empty()).unwrap_or_default();
    if crate::vw::is_row(line) {
        return Format::Vw;
    }
    let tabs = memchr::memchr_iter(b'\t', line).count();
    if tabs == 39 || tabs == 38 {
        return Format::Criteo;
    }
    let mut tokens = line.split(|c| matches!(c, b' ' | b'\t')).filter(|t| !t.is_empty());
    let label = tokens.next().is_some_and(|t| number::real(t).is_some());
    let pair = |t: &[u8]| number::digits(t).is_some_and(|(_, n)| t.get(n) == Some(&b':')) || t.starts_with(b"qid:");
    if label && tokens.all(pair) { Format::Libsvm } else { Format::Csv }
}

/// The byte between columns: the candidate the header has most of.
pub(crate) fn delimiter(header: &[u8]) -> u8 {
    let count = |d: &u8| memchr::memchr_iter(*d, header).count();
    // `max_by_key` keeps the last of equals; the comma wins ties.
    *[b'|', b';', b'\t', b','].iter().max_by_key(|d| count(d)).unwrap_or(&b',')
}

/// The schema of a CSV file and the way its labels are read.
/// Also the first field that no column has.
pub(crate) fn csv(file: &str, text: &[u8], options: &ReadOptions) -> Result<(Schema, Labels, Field)> {
    let (end, head) = header(file, text)?;
    let delimiter = options.delimiter.unwrap_or_else(|| delimiter(head));
    let names = header_names(head, delimiter);
    let has = |name: &String| names.contains(name);
    let chosen = [&options.numeric, &options.categorical, &options.raw, &options.ignore];
    for name in chosen.into_iter().flatten().chain(&options.weight).chain(&options.label) {
        if !has(name) {
            return Err(missing_column(file, name, &names));
        }
    }
    let label = match &options.label {
        Some(name) => name.clone(),
        None => {
            let guess = LABEL_NAMES.iter().find_map(|n| names.iter().find(|c| c.eq_ignore_ascii_case(n)));
            guess.cloned().ok_or_else(|| missing_column(file, "label (choose another with --label)", &names))?
        }
    };
    let sample = sample(text, end, delimiter, names.len());
    let mut schema = Schema::new(Format::Csv, options.bits, options.hash_seed);
    schema.weight = options.weight.clone();
    let mut labels = Labels::Numeric(options.labels);
    for (i, name) in names.iter().enumerate() {
        if *name == label {
            let number = |c: &Vec<u8>| missing(c) || number::real(c).is_some();
            labels = match &options.positive {
                Some(p) => Labels::Positive(p.clone(), None),
                None if options.labels != LabelKind::Binary || sample[i].iter().all(number) => {
                    Labels::Numeric(options.labels)
                }
                None => Labels::Text,
            };
        } else if options.weight.as_ref() != Some(name) && !options.ignore.contains(name) {
            let id = u16::try_from(schema.fields.len() + 1).ok().filter(|&id| id <= key::FIELD_MAX);
            let Some(id) = id else {
                let (expected, got) = (format!("at most {} columns", key::FIELD_MAX), names.len().to_string());
                return Err(DataError::Header { file: file.into(), expected, got });
            };
            let kind = match () {
                _ if options.categorical.contains(name) => FieldKind::Text,
                _ if options.raw.contains(name) => FieldKind::Number,
                _ => kind(&sample[i], options.numeric.contains(name)),
            };
            schema.fields.push(FieldSpec { id, name: name.clone(), kind });
        }
    }
    let (kind, positive) = (options.labels, options.positive.clone());
    schema.label = LabelSpec { kind, column: Some(label), positive, negative: None };
    let next = schema.fields.len() as Field + 1;
    Ok((schema, labels, next))
}

/// The first rows, column by column. Rows of another width are left for the parser to refuse.
fn sample(text: &[u8], begin: usize, delimiter: u8, columns: usize) -> Vec<Vec<Vec<u8>>> {
    let mut out = vec![Vec::new(); columns];
    let (mut at, mut cells) = (begin, Vec::new());
    for _ in 0..SAMPLE_ROWS {
        if at >= text.len() {
            break;
        }
        let end = row_end(text, at);
        let line = trim_end(&text[at..end]);
        split(line, delimiter, &mut cells);
        if cells.len() == columns {
            for (column, cell) in out.iter_mut().zip(&cells) {
                column.push(cell.text(line).into_owned());
            }
        }
        at = end;
    }
    out
}

/// Integers, reals (binned at quantiles of the sample) or text.
fn kind(sample: &[Vec<u8>], numeric: bool) -> FieldKind {
    let present = || sample.iter().filter(|c| !missing(c));
    if present().next().is_none() {
        return if numeric { FieldKind::Integer } else { FieldKind::Text };
    }
    if present().all(|c| number::integer(c).is_some()) {
        return FieldKind::Integer;
    }
    let reals: Vec<Option<f64>> = present().map(|c| number::real(c)).collect();
    if !numeric && reals.iter().any(|x| x.is_none()) {
        return FieldKind::Text;
    }
    let mut sorted: Vec<f64> = reals.into_iter().flatten().filter(|x| x.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut cuts: Vec<f64> = (1..BINS).filter_map(|b| sorted.get(b * sorted.len() / BINS).copied()).collect();
    cuts.dedup();
    FieldKind::Bins { cuts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_told_from_the_first_line() {
        let criteo = format!("\n{}\n", vec!["1"; 40].join("\t"));
        let cases = [
            (criteo.as_str(), Format::Criteo),
            ("+1 3:1 4:0.5 \n", Format::Libsvm),
            ("-1\n", Format::Libsvm),
            ("1 qid:3 4:1\n", Format::Libsvm),
            ("age,income\n1,2\n", Format::Csv),
            ("a\tb\n", Format::Csv),
            ("1 |a x y:2\n", Format::Vw),
            ("-1 0.5 'tag| x |b y\n", Format::Vw),
            ("\n0 2 0 tag|a\n", Format::Vw),
            ("label|a|b\n1|2|3\n", Format::Csv),
            ("1|2|3\n", Format::Csv),
            ("|a b\n", Format::Csv),
            ("y |a\n", Format::Csv),
        ];
        for (text, expected) in cases {
            assert_eq!(format(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn columns_are_told_from_the_first_rows() {
        let text = "a;b;c;d;y\n1;0.5;x;;no\n-3;?;7;;yes\n2;2.5;9;;no\n";
        let (schema, labels, _) = csv("f", text.as_bytes(), &ReadOptions::default()).unwrap();
        let kinds: Vec<_> = schema.fields.iter().map(|f| (f.id, f.name.as_str(), f.kind.clone())).collect();
        let bins = FieldKind::Bins { cuts: vec![0.5, 2.5] };
        let expected =
            [(1, "a", FieldKind::Integer), (2, "b", bins), (3, "c", FieldKind::Text), (4, "d", FieldKind::Text)];
        assert_eq!(kinds, expected);
        assert_eq!(labels, Labels::Text);
    }
}
