//! Vowpal Wabbit's text: `[label] [weight] [base] ['tag]|namespace[:scale] name[:value] … |namespace …`
//!
//! A namespace is a field, chosen by a hash of its name (`docs/decisions/0009-vw-namespaces.md`). A feature that stands
//! twice in a row has the sum of its values.

mod cross;
mod hash;
mod line;
mod numbers;
mod order;
mod rows;

use crate::cross::Cross;
use crate::label::LabelKind;
use crate::parsed::{Body, Parsed, Ragged, lines_at};
use crate::schema::Schema;
use handcar_base::Field;
use handcar_kernels::marks::positions;
use hash::Hasher;
use line::{MARKS, Words};
use rows::Rows;

/// Whether a line is text of this format: a label and a blank, then numbers and a tag perhaps, then a bar.
pub(crate) fn is_row(line: &[u8]) -> bool {
    let Some(bar) = memchr::memchr(b'|', line) else { return false };
    // Real labels are the widest kind.
    line::head(&line[..bar], true, LabelKind::Real).is_ok()
}

/// The field of a namespace.
pub(crate) fn field(namespace: &str, schema: &Schema) -> Field {
    Hasher::new(schema).namespace(namespace.as_bytes()).field()
}

/// A cross of these namespaces, in the field that its own name has.
pub(crate) fn cross(of: Vec<String>, schema: &Schema) -> Cross {
    let cross = Cross { id: 0, of };
    Cross { id: field(&cross.name(), schema), ..cross }
}

/// Text whose marks are looked for at a time.
const PIECE_BYTES: usize = 8 << 10;

/// How a chunk is parsed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    /// Whether rows must begin with a label.
    pub labels: bool,
    /// Whether names are kept.
    pub names: bool,
    /// Whether features are left as they stand in the text, instead of in the order of their keys and each once.
    pub as_read: bool,
}

/// Parses a chunk.
pub(crate) fn parse(file: usize, text: &[u8], wants: Wants, schema: &Schema) -> Parsed {
    let mut out = Parsed::new(file, text.len(), Body::Ragged(Ragged::default()));
    let mut rows = Rows::new(schema, text, wants);
    let mut lengths = Vec::new();
    let mut weights: Option<Vec<f32>> = None;
    let mut marks = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // A piece at a time, whose marks stay in the nearest cache.
        let last = memchr::memchr(b'\n', &rest[PIECE_BYTES.min(rest.len())..]).map(|i| PIECE_BYTES + i + 1);
        let (piece, after) = rest.split_at(last.unwrap_or(rest.len()));
        rest = after;
        positions(piece, MARKS, &mut marks);
        let mut words = Words::new(piece, &marks);
        for (begin, line) in lines_at(piece) {
            match rows.parse_row(line, begin, wants.labels, &mut words) {
                Ok(None) => {}
                Ok(Some(head)) => {
                    if head.weight != 1.0 || weights.is_some() {
                        let all = weights.get_or_insert_default();
                        all.resize(out.rows, 1.0);
                        all.push(head.weight);
                    }
                    out.labels.extend(head.label);
                    lengths.push(rows.store());
                    out.rows += 1;
                }
                Err(e) => out.refuse(e),
            }
            out.lines += 1;
        }
    }
    out.weights = weights;
    (out.body, out.namespaces) = rows.finish(lengths);
    out
}

/// The name of a feature that begins at `start`, in parts.
pub(crate) fn name_at(text: &[u8], start: usize) -> [&[u8]; 3] {
    let space = memchr::memrchr(b'|', &text[..start]).map_or(0, |bar| bar + 1);
    line::joined(line::word(text, space), line::word(text, start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parsed::Ids;
    use crate::schema::HashKind;
    use std::collections::BTreeMap;

    fn parse_all(text: &str, need: bool) -> (Parsed, Vec<String>) {
        let [p, other] = [false, true].map(|as_read| {
            let wants = Wants { labels: need, names: true, as_read };
            parse(0, text.as_bytes(), wants, &Schema::vw(64, 0, HashKind::Handcar))
        });
        // Whatever a row's order is, it is the same row.
        let about = |p: &Parsed| format!("{:?}", (p.rows, &p.labels, &p.weights, p.lines, p.bad_rows, &p.bad));
        let own = rows(&p, text);
        assert_eq!((&own, about(&p)), (&rows(&other, text), about(&other)));
        (p, own)
    }

    /// Rows as `name:value`, in the order of their keys' names.
    fn rows(p: &Parsed, text: &str) -> Vec<String> {
        let Body::Ragged(Ragged { lengths, ids, values }) = &p.body else { unreachable!() };
        let name = |i: usize| match ids {
            Ids::Local { ids, names, .. } => names.get(ids[i] as usize - 1).unwrap().to_vec(),
            Ids::AsRead { starts, .. } => name_at(text.as_bytes(), starts[i] as usize).concat(),
            _ => unreachable!(),
        };
        let mut at = 0;
        let row = |&len: &u32| {
            let range = at..at + len as usize;
            at = range.end;
            if let Ids::Local { ids, keys, .. } = ids {
                assert!(range.clone().is_sorted_by(|&a, &b| keys[ids[a] as usize - 1] < keys[ids[b] as usize - 1]));
            }
            let mut all: BTreeMap<String, f32> = BTreeMap::new();
            for i in range {
                *all.entry(String::from_utf8(name(i)).unwrap()).or_default() += values.as_ref().map_or(1.0, |v| v[i]);
            }
            let all: Vec<String> = all.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            all.join(" ")
        };
        lengths.iter().map(row).collect()
    }

    #[test]
    fn rows_keep_labels_weights_names_and_sums() {
        let (p, rows) =
            parse_all("1 |a x y:2\r\n\n \t\n0 2 'tag|b:3 x |a x:0.5 x:0.25\n-1 |b x |a y |a z\n+1 |\n1 | x x\n", true);
        assert_eq!((p.rows, p.bad_rows, p.lines), (5, 0, 7), "{:?}", p.bad);
        assert_eq!(p.labels, [1.0, -1.0, -1.0, 1.0, 1.0]);
        assert_eq!(p.weights.as_deref(), Some(&[1.0, 2.0, 1.0, 1.0, 1.0][..]));
        assert_eq!(rows, ["a^x:1 a^y:2", "a^x:0.75 b^x:3", "a^y:1 a^z:1 b^x:1", "", "x:2"]);
    }

    #[test]
    fn a_namespace_is_told_from_one_that_begins_alike() {
        let row = "|a x |ab yyyyyyyy |abcdefg z | w |abcdefghi v |a:2 u |\tt end:1\n";
        let expected = "a^u:2 a^x:1 ab^yyyyyyyy:1 abcdefg^z:1 abcdefghi^v:1 end:1 t:1 w:1";
        let other = "1 |ab x:1 |a yyyyyyyy |abcdef z |a w |abcdefgh v |a u:3 |t end:1\n";
        let (p, rows) = parse_all(&format!("1 {row}0 {row}{other}1 {row}"), true);
        assert_eq!((p.rows, p.bad_rows), (4, 0), "{:?}", p.bad);
        let got = rows;
        assert_eq!([&got[0], &got[1], &got[3]], [expected; 3]);
        assert_eq!(got[2], "a^u:3 a^w:1 a^yyyyyyyy:1 ab^x:1 abcdef^z:1 abcdefgh^v:1 t^end:1");
    }

    #[test]
    fn rows_without_labels_are_read_where_none_is_needed() {
        let (p, _) = parse_all("|a x\n'tag |a y\n1 |a x\n", false);
        assert_eq!((p.rows, p.bad_rows, p.labels.len()), (3, 0, 1), "{:?}", p.bad);
    }

    #[test]
    fn bad_rows_say_what_was_expected() {
        let cases = [
            ("2 |a x", "label", "0, 1, -1 or +1", "\"2\""),
            ("yes |a x", "label", "0, 1, -1 or +1", "\"yes\""),
            ("|a x", "label", "0, 1, -1 or +1", "nothing"),
            ("1|a x", "label", "0, 1, -1 or +1 and a blank (what touches | is a tag)", "\"1\""),
            ("1 -2 |a x", "weight", "a finite weight of 0 or more", "\"-2\""),
            ("1 inf |a x", "weight", "a finite weight of 0 or more", "\"inf\""),
            ("1 2 0.5 |a x", "base", "0, as a base margin is not supported", "\"0.5\""),
            ("1 1 0 4 |a x", "", "at most a label, a weight, a base and a tag before |", "\"1 1 0 4\""),
            ("1 1 0 4 5 6|a x", "", "at most a label, a weight, a base and a tag before |", "\"1 1 0 4 5 6\""),
            ("1 a:1", "", "| before the features", "\"1 a:1\""),
            ("1 |:2 x", "", "a namespace or a blank after |", "\":2\""),
            ("1 |a:x y", "namespace a", "a finite number", "\"x\""),
            ("1 |a: y", "namespace a", "a finite number", "nothing"),
            ("1 |a:nan y", "namespace a", "a finite number", "\"nan\""),
            ("1 |a x:inf", "a^x", "a finite number", "\"inf\""),
            ("1 |a x:", "a^x", "a finite number", "nothing"),
            ("1 |a x:1:2", "a^x", "a finite number", "\"1:2\""),
            ("1 | x:y", "x", "a finite number", "\"y\""),
            ("1 |a x:1e30 y |a:1e30 x:1e30", "a^x", "a finite value", ""),
            ("1 |a x:3e38 x:3e38", "a^x", "a finite sum of its values", "\"inf\""),
            ("1 |a new:2 w x:3e38 x:3e38", "a^x", "a finite sum of its values", "\"inf\""),
            ("1 |a :3", "namespace a", "a name before :", "\":3\""),
        ];
        for (row, column, expected, got) in cases {
            let (p, rows) = parse_all(&format!("1 |a v:2\n{row}\n0 |a w\n"), true);
            assert_eq!((p.rows, p.bad_rows), (2, 1), "{row}");
            let e = &p.bad[0];
            assert_eq!((e.line, e.column.as_deref().unwrap_or(""), &*e.expected), (1, column, expected), "{row}");
            assert!(got.is_empty() || e.got == got, "{row}: {}", e.got);
            assert_eq!(rows, ["a^v:2", "a^w:1"], "{row}");
        }
    }
}
