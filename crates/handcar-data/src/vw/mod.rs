//! Vowpal Wabbit's text: `[label] [weight] [base] ['tag]|namespace[:scale] name[:value] … |namespace …`
//!
//! A namespace is a field, chosen by a hash of its name (`docs/decisions/0009-vw-namespaces.md`). A feature that stands
//! twice in a row has the sum of its values.

mod cross;
mod hash;
mod line;
mod numbers;
mod order;

use crate::choose::Namespaces;
use crate::cross::Cross;
use crate::error::RowError;
use crate::label::LabelKind;
use crate::names::Texts;
use crate::parsed::{Body, Ids, Parsed, Ragged, lines};
use crate::schema::Schema;
use cross::Crosser;
use handcar_base::Field;
use hash::{Hasher, Namespace};
use line::Sink;
use numbers::Numbers;
use order::sort_by_key;

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

/// Parses a chunk. `labels`: whether rows must begin with a label. `names`: whether names are kept.
pub(crate) fn parse(file: usize, text: &[u8], labels: bool, names: bool, schema: &Schema) -> Parsed {
    let mut out = Parsed::new(file, text.len(), Body::Ragged(Ragged::default()));
    let mut rows = Rows::new(schema, names);
    let mut lengths = Vec::new();
    let mut weights: Option<Vec<f32>> = None;
    for line in lines(text) {
        match rows.parse_row(line, labels) {
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
    out.weights = weights;
    let Rows { numbers, ids, values, all_ones, names, namespaces, .. } = rows;
    out.namespaces = namespaces.unwrap_or_default();
    let ids = Ids::Local { ids, keys: numbers.keys, names: names.unwrap_or_default() };
    out.body = Body::Ragged(Ragged { lengths, ids, values: (!all_ones).then_some(values) });
    out
}

struct Rows<'a> {
    hasher: Hasher,
    schema: &'a Schema,
    /// The namespace being read, its name, and whether its features are any.
    space: (Namespace, &'a [u8], bool),
    crosser: Option<Crosser>,
    /// The namespaces there are, if it is asked whether some are.
    namespaces: Option<Namespaces>,
    /// The namespaces of the last row, as far as this row has the same, and how many of them have been read.
    last: Vec<Known>,
    spaces: usize,
    /// The row being read.
    row: Vec<Entry<'a>>,
    /// The order of the last row by key: rows mostly have the same namespaces, and then it is this row's too.
    order: Vec<u32>,
    /// Keys with their places in the row, while they are sorted.
    packed: Vec<u64>,
    /// Numbers the keys of all rows.
    numbers: Numbers,
    names: Option<Texts>,
    ids: Vec<u32>,
    /// Empty while every value is 1.
    values: Vec<f32>,
    all_ones: bool,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    key: u64,
    value: f32,
    space: &'a [u8],
    name: &'a [u8],
}

/// A namespace that is likely to come again.
struct Known {
    /// Its name and a blank, and the bytes that these are of eight. A longer name has a word that never comes.
    word: u64,
    mask: u64,
    len: usize,
    space: Namespace,
    kept: bool,
}

impl Known {
    fn new(name: &[u8], space: Namespace, kept: bool) -> Self {
        let len = name.len();
        if len > 7 {
            return Self { word: 1, mask: 0, len, space, kept };
        }
        let mut word = [0; 8];
        word[..len].copy_from_slice(name);
        word[len] = b' ';
        Self { word: u64::from_le_bytes(word), mask: u64::MAX >> (56 - 8 * len), len, space, kept }
    }
}

impl<'a> Sink<'a> for Rows<'a> {
    #[inline]
    fn known(&mut self, rest: &'a [u8]) -> Option<usize> {
        let known = self.last.get(self.spaces)?;
        if u64::from_le_bytes(*rest.first_chunk::<8>()?) & known.mask != known.word {
            return None;
        }
        self.spaces += 1;
        self.space = (known.space, &rest[..known.len], known.kept);
        Some(known.len)
    }

    #[inline]
    fn namespace(&mut self, name: &'a [u8]) {
        let kept = self.schema.select.has(name);
        self.space = (self.hasher.namespace(name), name, kept);
        if let Some(namespaces) = &mut self.namespaces {
            namespaces.see(name, self.schema);
        }
        self.last.truncate(self.spaces);
        self.last.push(Known::new(name, self.space.0, kept));
        self.spaces += 1;
    }

    #[inline]
    fn feature(&mut self, name: &'a [u8], value: f32) {
        let (space, space_name, kept) = self.space;
        if !kept {
            return;
        }
        self.row.push(Entry { key: self.hasher.key(space, name), value, space: space_name, name });
    }
}

impl<'a> Rows<'a> {
    fn new(schema: &'a Schema, names: bool) -> Self {
        let hasher = Hasher::new(schema);
        let asked = names && !(schema.select.is_all() && schema.crosses.is_empty());
        Self {
            hasher,
            schema,
            space: (Namespace::default(), b"", true),
            crosser: Crosser::new(schema, &hasher),
            namespaces: asked.then(Namespaces::default),
            last: Vec::new(),
            spaces: 0,
            row: Vec::new(),
            order: Vec::new(),
            packed: Vec::new(),
            numbers: Numbers::new(),
            names: names.then(Texts::default),
            ids: Vec::new(),
            values: Vec::new(),
            all_ones: true,
        }
    }

    /// `None`: no row on this line. What is read stays apart until it is stored.
    fn parse_row(&mut self, line: &'a [u8], need: bool) -> Result<Option<line::Head>, RowError> {
        let Some(bar) = memchr::memchr(b'|', line) else {
            let text = line.trim_ascii();
            return if text.is_empty() { Ok(None) } else { Err(RowError::new(None, "| before the features", text)) };
        };
        let head = line::head(&line[..bar], need, self.schema.label.kind)?;
        self.row.clear();
        self.spaces = 0;
        line::features(&line[bar + 1..], self)?;
        match &mut self.crosser {
            Some(crosser) => crosser.cross(&self.row, &self.hasher)?,
            None => self.sort()?,
        }
        Ok(Some(head))
    }

    /// Makes `order` sort the row, and each of its keys occur once.
    fn sort(&mut self) -> Result<(), RowError> {
        let row = &mut self.row;
        let ascends = |row: &[Entry<'_>], order: &[u32]| {
            order.windows(2).all(|w| row[w[0] as usize].key < row[w[1] as usize].key)
        };
        if self.order.len() == row.len() && ascends(row, &self.order) {
            return Ok(());
        }
        sort_by_key(row, &mut self.packed, &mut self.order);
        if ascends(row, &self.order) {
            return Ok(());
        }
        row.sort_by_key(|e| e.key);
        row.dedup_by(|next, kept| {
            let same = next.key == kept.key;
            if same {
                kept.value += next.value;
            }
            same
        });
        self.order.clear();
        self.order.extend(0..row.len() as u32);
        match row.iter().find(|e| !e.value.is_finite()) {
            Some(e) => Err(RowError::new(line::show(e.space, e.name), "a finite sum of its values", b"inf")),
            None => Ok(()),
        }
    }

    /// Adds the row to the others and gives its length.
    fn store(&mut self) -> u32 {
        if let Some(crosser) = self.crosser.take() {
            for feature in &crosser.merged {
                if self.put(feature.key, feature.value)
                    && let Some(names) = &mut self.names
                {
                    names.push(&crosser.name(feature, &self.row));
                }
            }
            let len = crosser.merged.len() as u32;
            self.crosser = Some(crosser);
            return len;
        }
        for i in 0..self.order.len() {
            let e = self.row[self.order[i] as usize];
            if self.put(e.key, e.value)
                && let Some(names) = &mut self.names
            {
                let bar: &[u8] = if e.space.is_empty() { b"" } else { b"^" };
                names.push(&[e.space, bar, e.name]);
            }
        }
        self.order.len() as u32
    }

    /// Adds a feature; whether its key is new.
    #[inline]
    fn put(&mut self, key: u64, value: f32) -> bool {
        let known = self.numbers.keys.len();
        let number = self.numbers.of(key);
        self.ids.push(number);
        if self.all_ones && value != 1.0 {
            self.all_ones = false;
            self.values.resize(self.ids.len() - 1, 1.0);
        }
        if !self.all_ones {
            self.values.push(value);
        }
        number as usize > known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::HashKind;

    fn parse_all(text: &str, need: bool) -> Parsed {
        parse(0, text.as_bytes(), need, true, &Schema::vw(64, 0, HashKind::Handcar))
    }

    /// Rows as `name:value`, in the order of their keys' names.
    fn rows(p: &Parsed) -> Vec<String> {
        let Body::Ragged(Ragged { lengths, ids: Ids::Local { ids, keys, names }, values }) = &p.body else {
            unreachable!()
        };
        let mut at = 0;
        let row = |&len: &u32| {
            let range = at..at + len as usize;
            at = range.end;
            assert!(range.clone().is_sorted_by(|&a, &b| keys[ids[a] as usize - 1] < keys[ids[b] as usize - 1]));
            let show = |i: usize| {
                let name = std::str::from_utf8(names.get(ids[i] as usize - 1).unwrap()).unwrap();
                format!("{name}:{}", values.as_ref().map_or(1.0, |v| v[i]))
            };
            let mut all: Vec<String> = range.map(show).collect();
            all.sort();
            all.join(" ")
        };
        lengths.iter().map(row).collect()
    }

    #[test]
    fn rows_keep_labels_weights_names_and_sums() {
        let p =
            parse_all("1 |a x y:2\r\n\n \t\n0 2 'tag|b:3 x |a x:0.5 x:0.25\n-1 |b x |a y |a z\n+1 |\n1 | x x\n", true);
        assert_eq!((p.rows, p.bad_rows, p.lines), (5, 0, 7), "{:?}", p.bad);
        assert_eq!(p.labels, [1.0, -1.0, -1.0, 1.0, 1.0]);
        assert_eq!(p.weights.as_deref(), Some(&[1.0, 2.0, 1.0, 1.0, 1.0][..]));
        assert_eq!(rows(&p), ["a^x:1 a^y:2", "a^x:0.75 b^x:3", "a^y:1 a^z:1 b^x:1", "", "x:2"]);
    }

    #[test]
    fn a_namespace_is_told_from_one_that_begins_alike() {
        let row = "|a x |ab yyyyyyyy |abcdefg z | w |abcdefghi v |a:2 u |\tt end:1\n";
        let expected = "a^u:2 a^x:1 ab^yyyyyyyy:1 abcdefg^z:1 abcdefghi^v:1 end:1 t:1 w:1";
        let other = "1 |ab x:1 |a yyyyyyyy |abcdef z |a w |abcdefgh v |a u:3 |t end:1\n";
        let p = parse_all(&format!("1 {row}0 {row}{other}1 {row}"), true);
        assert_eq!((p.rows, p.bad_rows), (4, 0), "{:?}", p.bad);
        let got = rows(&p);
        assert_eq!([&got[0], &got[1], &got[3]], [expected; 3]);
        assert_eq!(got[2], "a^u:3 a^w:1 a^yyyyyyyy:1 ab^x:1 abcdef^z:1 abcdefgh^v:1 t^end:1");
    }

    #[test]
    fn rows_without_labels_are_read_where_none_is_needed() {
        let p = parse_all("|a x\n'tag |a y\n1 |a x\n", false);
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
            ("1 |a :3", "namespace a", "a name before :", "\":3\""),
        ];
        for (row, column, expected, got) in cases {
            let p = parse_all(&format!("1 |a v:2\n{row}\n0 |a w\n"), true);
            assert_eq!((p.rows, p.bad_rows), (2, 1), "{row}");
            let e = &p.bad[0];
            assert_eq!((e.line, e.column.as_deref().unwrap_or(""), &*e.expected), (1, column, expected), "{row}");
            assert!(got.is_empty() || e.got == got, "{row}: {}", e.got);
            assert_eq!(rows(&p), ["a^v:2", "a^w:1"], "{row}");
        }
    }
}
