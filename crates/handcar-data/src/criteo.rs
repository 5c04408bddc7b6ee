//! Criteo's click logs: label, 13 integers, 26 hexadecimal categories, separated by tabs; empty means missing.

use crate::bucket::{self, MISSING};
use crate::cross;
use crate::error::RowError;
use crate::label::LabelKind;
use crate::number;
use crate::parsed::{Body, Columns, Parsed, lines};
use crate::schema::Schema;

pub(crate) const FIELDS: usize = 39;
const INTEGERS: usize = 13;

/// Parses a chunk. `labelled`: whether the first column is the label.
/// `tokens`: a buffer to use again.
pub(crate) fn parse(file: usize, text: &[u8], labelled: bool, schema: &Schema, mut tokens: Vec<u64>) -> Parsed {
    let stride = memchr::memchr_iter(b'\n', text).count() + 1;
    let mut out = Parsed::new(file, text.len(), Body::Ragged(Default::default()));
    // Old tokens may stay: a row that counts writes all of its own.
    tokens.resize(FIELDS * stride, MISSING);
    if labelled {
        out.labels.reserve(stride);
    }
    let hashed = schema.bits < handcar_base::key::VALUE_BITS;
    for line in lines(text) {
        if !line.is_empty() {
            let row = out.rows;
            match parse_row(line, labelled.then_some(schema.label.kind), |f, token| tokens[f * stride + row] = token) {
                Ok(label) => {
                    if labelled {
                        out.labels.push(label);
                    }
                    out.rows += 1;
                }
                Err(e) => out.refuse(e),
            }
        }
        out.lines += 1;
    }
    if hashed {
        for (f, column) in tokens.chunks_mut(stride).enumerate() {
            column.iter_mut().for_each(|t| *t = schema.narrow(f as u16 + 1, *t));
        }
    }
    for (to, field) in schema.fields.iter().enumerate() {
        let from = field.id as usize - 1;
        if from != to {
            tokens.copy_within(from * stride..(from + 1) * stride, to * stride);
        }
    }
    let fields = schema.fields.len();
    let mut columns = Columns { stride, tokens, values: vec![None; fields], spans: vec![None; fields] };
    cross::add_columns(&mut columns, out.rows, schema);
    out.body = Body::Columns(columns);
    out
}

/// `label`: the kind of label that the first column has, if it is one.
fn parse_row(line: &[u8], label: Option<LabelKind>, mut put: impl FnMut(usize, u64)) -> Result<f32, RowError> {
    let labelled = label.is_some();
    let (label, mut rest) = match (label, line) {
        (None, _) => (0.0, line),
        (Some(LabelKind::Binary), [b'0', b'\t', rest @ ..]) => (-1.0, rest),
        (Some(LabelKind::Binary), [b'1', b'\t', rest @ ..]) => (1.0, rest),
        (Some(kind), _) => {
            let (cell, rest) = split(line, 0).ok_or_else(|| columns(line, labelled))?;
            (kind.read(cell)?, rest)
        }
    };
    for f in 0..INTEGERS {
        if let Some(eight) = rest.first_chunk::<8>()
            && let Some((v, len)) = number::digits_before(*eight, b'\t')
        {
            put(f, bucket::of_count(v));
            rest = &rest[len + 1..];
            continue;
        }
        let (token, len) = match integer_prefix(rest) {
            Some((v, len)) if rest.get(len) == Some(&b'\t') => (bucket::of_integer(v), len),
            _ if rest.first() == Some(&b'\t') => (MISSING, 0),
            _ => {
                let (cell, _) = split(rest, f).ok_or_else(|| columns(line, labelled))?;
                return Err(RowError::new(format!("I{}", f + 1), "an integer or nothing", cell));
            }
        };
        put(f, token);
        rest = &rest[len + 1..];
    }
    for f in INTEGERS..FIELDS {
        let last = f == FIELDS - 1;
        if let Some((eight, after)) = rest.split_first_chunk::<8>()
            && let Some(v) = number::hex8(*eight)
            && after.first() == if last { None } else { Some(&b'\t') }
        {
            put(f, v as u64 + 1);
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        let (cell, after) = match split(rest, f) {
            Some(parts) if !last => parts,
            None if last => (rest, &rest[rest.len()..]),
            _ => return Err(columns(line, labelled)),
        };
        let token = match cell {
            [] => MISSING,
            _ => match number::hex(cell) {
                Some(v) => v as u64 + 1,
                None => {
                    let column = format!("C{}", f + 1 - INTEGERS);
                    return Err(RowError::new(column, "1 to 8 hexadecimal digits or nothing", cell));
                }
            },
        };
        put(f, token);
        rest = after;
    }
    Ok(label)
}

#[inline]
fn integer_prefix(text: &[u8]) -> Option<(i64, usize)> {
    match text.first()? {
        b'-' => number::digits(&text[1..]).map(|(v, n)| (-(v as i64), n + 1)),
        _ => number::digits(text).map(|(v, n)| (v as i64, n)),
    }
}

fn split(rest: &[u8], _field: usize) -> Option<(&[u8], &[u8])> {
    memchr::memchr(b'\t', rest).map(|i| (&rest[..i], &rest[i + 1..]))
}

fn columns(line: &[u8], labelled: bool) -> RowError {
    let expected = format!("{} columns separated by tabs", FIELDS + labelled as usize);
    let got = memchr::memchr_iter(b'\t', line).count() + 1;
    RowError { line: 0, column: None, expected, got: format!("{got}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 40]) -> String {
        cells.join("\t")
    }

    fn good() -> [&'static str; 40] {
        let mut cells = ["68fd1e64"; 40];
        cells[..14].copy_from_slice(&["1", "1", "", "-1", "0", "1382", "4", "15", "2", "181", "1", "2", "", "2"]);
        cells
    }

    #[test]
    fn cells_become_tokens_and_missing_is_a_value() {
        let mut cells = good();
        (cells[14], cells[39]) = ("", "");
        (cells[15], cells[16]) = ("5", "ABCDEF");
        let text = row(cells) + "\r\n";
        let p = parse(0, text.as_bytes(), true, &Schema::criteo(64, 0), vec![7; 99]);
        assert_eq!((p.rows, p.bad_rows, p.labels[0]), (1, 0, 1.0), "{:?}", p.bad);
        let Body::Columns(c) = p.body else { unreachable!() };
        let token = |f| c.column(f, 1)[0];
        assert_eq!([token(0), token(1), token(2)], [bucket::of_integer(1), MISSING, bucket::of_integer(-1)]);
        assert_eq!([token(13), token(14), token(15), token(38)], [MISSING, 6, 0xabcdef + 1, MISSING]);
        assert_eq!(token(20), 0x68fd1e64 + 1);
    }

    #[test]
    fn bad_rows_name_column_expected_and_got() {
        let with = |i: usize, cell: &'static str| {
            let mut cells = good();
            cells[i] = cell;
            row(cells)
        };
        let cases = [
            (with(0, "2"), Some("label"), "0, 1, -1 or +1", "\"2\""),
            (with(2, "1.5"), Some("I2"), "an integer or nothing", "\"1.5\""),
            (with(13, "x"), Some("I13"), "an integer or nothing", "\"x\""),
            (with(14, "68fd1e640"), Some("C1"), "1 to 8 hexadecimal digits or nothing", "\"68fd1e640\""),
            (with(39, "xyz"), Some("C26"), "1 to 8 hexadecimal digits or nothing", "\"xyz\""),
            (row(good()) + "\t1", None, "40 columns separated by tabs", "41"),
            ("1\t2\t3".into(), None, "40 columns separated by tabs", "3"),
            (row(good())[..200].into(), None, "40 columns separated by tabs", ""),
        ];
        for (text, column, expected, got) in cases {
            let text = format!("{}\n{text}\n", row(good()));
            let p = parse(0, text.as_bytes(), true, &Schema::criteo(64, 0), vec![7; 99]);
            assert_eq!((p.rows, p.bad_rows), (1, 1), "{text}");
            let e = &p.bad[0];
            assert_eq!((e.line, e.column.as_deref(), e.expected.as_str()), (1, column, expected));
            assert!(got.is_empty() || e.got == got, "{} {}", e.got, got);
        }
    }
}
