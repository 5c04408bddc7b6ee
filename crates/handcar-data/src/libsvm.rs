//! libsvm text: `label id:value id:value …`, ids ascending, counted from 1. `qid:…` and `# comments` are skipped.

use crate::error::RowError;
use crate::label::LabelKind;
use crate::number;
use crate::parsed::{Body, Ids, Parsed, Ragged, lines};
use crate::schema::Schema;
use handcar_base::key;

/// Parses a chunk. `labels`: whether rows must begin with a label; without it a label is read if there is one.
pub(crate) fn parse(file: usize, text: &[u8], labels: bool, schema: &Schema) -> Parsed {
    let mut out = Parsed::new(file, text.len(), Body::Ragged(Ragged::default()));
    // A pair takes six bytes or more in all but toy files.
    let mut rows =
        Rows { ids: Vec::with_capacity(text.len() / 6), wide: Vec::new(), values: Vec::new(), all_ones: true };
    let mut lengths = Vec::new();
    let hashed = schema.bits < key::VALUE_BITS;
    for line in lines(text) {
        let before = rows.len();
        match rows.parse_row(line, labels, schema.label.kind, schema.zero_based) {
            Ok(None) => {}
            Ok(Some(label)) => {
                if hashed {
                    rows.fold(before, schema);
                }
                if let Some(label) = label {
                    out.labels.push(label);
                }
                lengths.push((rows.len() - before) as u32);
                out.rows += 1;
            }
            Err(e) => {
                rows.truncate(before);
                out.refuse(e);
            }
        }
        out.lines += 1;
    }
    let Rows { ids, wide, values, all_ones } = rows;
    let ids = if wide.is_empty() { Ids::Narrow(ids) } else { Ids::Wide(wide) };
    out.body = Body::Ragged(Ragged { lengths, ids, values: (!all_ones).then_some(values) });
    out
}

struct Rows {
    /// Ids while all fit 32 bits; empty from then on.
    ids: Vec<u32>,
    wide: Vec<u64>,
    /// Empty while every value is 1.
    values: Vec<f32>,
    all_ones: bool,
}

impl Rows {
    /// `None`: no row on this line. `Some(None)`: a row without label.
    fn parse_row(
        &mut self,
        line: &[u8],
        need: bool,
        kind: LabelKind,
        zero_based: bool,
    ) -> Result<Option<Option<f32>>, RowError> {
        let mut rest = skip_blanks(line);
        let Some(&first) = rest.first() else { return Ok(None) };
        if first == b'#' {
            return Ok(None);
        }
        let mut label = None;
        let end = token_end(rest);
        if need || !rest[..end].contains(&b':') {
            let value = kind.read(&rest[..end]);
            // Prediction may carry any number in the label's place; there it is no label.
            match value {
                Ok(v) => label = Some(v),
                Err(e) if need => return Err(e),
                Err(_) => {}
            }
            rest = &rest[end..];
        }
        let mut least = if zero_based { 0 } else { 1 };
        loop {
            rest = skip_blanks(rest);
            let short = rest.first_chunk::<8>().and_then(|eight| number::digits_before(*eight, b':'));
            let Some((id, len)) = short.map(|(v, n)| (v as u64, n)).or_else(|| number::digits(rest)) else {
                match rest {
                    [] | [b'#', ..] => return Ok(Some(label)),
                    [b'q', b'i', b'd', b':', ..] => {
                        rest = &rest[token_end(rest)..];
                        continue;
                    }
                    _ => return Err(pair(rest)),
                }
            };
            if rest.get(len) != Some(&b':') {
                return Err(pair(rest));
            }
            if id < least || id > key::VALUE_MAX {
                return Err(self.bad_id(id, least, zero_based));
            }
            least = id + 1;
            self.push_id(id);
            rest = &rest[len + 1..];
            match rest {
                [b'1'] => {
                    self.push(1.0);
                    rest = &[];
                }
                [b'1', b' ', after @ ..] => {
                    self.push(1.0);
                    rest = after;
                }
                _ => {
                    let end = token_end(rest);
                    match number::real32(&rest[..end]) {
                        Some(v) if v.is_finite() => self.push(v),
                        _ => return Err(RowError::new(format!("id {id}"), "a finite number", &rest[..end])),
                    }
                    rest = &rest[end..];
                }
            }
        }
    }

    fn len(&self) -> usize {
        self.ids.len().max(self.wide.len())
    }

    fn id(&self, i: usize) -> u64 {
        if self.wide.is_empty() { self.ids[i] as u64 } else { self.wide[i] }
    }

    #[inline]
    fn push_id(&mut self, id: u64) {
        match u32::try_from(id) {
            Ok(narrow) if self.wide.is_empty() => self.ids.push(narrow),
            _ => {
                self.wide.extend(std::mem::take(&mut self.ids).into_iter().map(u64::from));
                self.wide.push(id);
            }
        }
    }

    #[inline]
    fn push(&mut self, value: f32) {
        if self.all_ones {
            if value == 1.0 {
                return;
            }
            self.all_ones = false;
            self.values.resize(self.len() - 1, 1.0);
        }
        self.values.push(value);
    }

    fn bad_id(&self, id: u64, least: u64, zero_based: bool) -> RowError {
        let expected = match id {
            0 if !zero_based => "ids counted from 1 (or ask for zero-based ids)".into(),
            _ if id > key::VALUE_MAX => format!("an id of at most {}", key::VALUE_MAX),
            _ => format!("ids in strictly ascending order, above {}", least - 1),
        };
        RowError { line: 0, column: None, expected, got: format!("id {id}") }
    }

    fn truncate(&mut self, len: usize) {
        self.ids.truncate(len);
        self.wide.truncate(len);
        if !self.all_ones {
            self.values.truncate(len);
        }
    }

    /// Hashes the ids of the last row to fewer bits; colliding ids of a row add up.
    fn fold(&mut self, begin: usize, schema: &Schema) {
        let value = |i: usize| if self.all_ones { 1.0 } else { self.values[i] };
        let hash = |id: u64| key::value_of(key::of_text(0, &id.to_le_bytes(), schema.seed, schema.bits));
        let mut pairs: Vec<(u64, f32)> = (begin..self.len()).map(|i| (hash(self.id(i)), value(i))).collect();
        pairs.sort_by_key(|p| p.0);
        pairs.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        self.truncate(begin);
        for (id, v) in pairs {
            self.push_id(id);
            self.push(v);
        }
    }
}

#[inline]
fn skip_blanks(text: &[u8]) -> &[u8] {
    match text {
        [b' ' | b'\t', ..] => {
            let n = text.iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
            &text[n..]
        }
        _ => text,
    }
}

#[inline]
fn token_end(text: &[u8]) -> usize {
    text.iter().position(|c| matches!(c, b' ' | b'\t')).unwrap_or(text.len())
}

fn pair(rest: &[u8]) -> RowError {
    RowError::new(None, "id:value", &rest[..token_end(rest)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(text: &str) -> Parsed {
        parse(0, text.as_bytes(), true, &Schema::raw(crate::Format::Libsvm, 64, 0, false))
    }

    #[test]
    fn rows_keep_ids_values_and_lines() {
        let p = parse_one("+1 3:1 11:1 \n-1 qid:7 2:0.5\t9:-3e-2 # end\n\n# only a comment\n0\r\n1 4294967296:1");
        assert_eq!((p.rows, p.bad_rows, p.lines), (4, 0, 6), "{:?}", p.bad);
        assert_eq!(p.labels, [1.0, -1.0, -1.0, 1.0]);
        let Body::Ragged(r) = p.body else { unreachable!() };
        assert_eq!(r.lengths, [2, 2, 0, 1]);
        assert!(matches!(r.ids, Ids::Wide(ids) if ids == [3, 11, 2, 9, 1 << 32]));
        assert_eq!(r.values.unwrap(), [1.0, 1.0, 0.5, -0.03, 1.0]);
    }

    #[test]
    fn bad_rows_say_what_was_expected() {
        let cases = [
            ("2 1:1", "0, 1, -1 or +1", "\"2\""),
            ("nan 1:1", "0, 1, -1 or +1", "\"nan\""),
            ("1 5:1 4:1", "ids in strictly ascending order, above 5", "id 4"),
            ("1 5:1 5:1", "ids in strictly ascending order, above 5", "id 5"),
            ("1 0:1", "ids counted from 1 (or ask for zero-based ids)", "id 0"),
            ("1 3:nan", "a finite number", "\"nan\""),
            ("1 3:inf", "a finite number", "\"inf\""),
            ("1 3:1e99", "a finite number", "\"1e99\""),
            ("1 3:", "a finite number", "nothing"),
            ("1 3:x", "a finite number", "\"x\""),
            ("1 3", "id:value", "\"3\""),
            ("1 -3:1", "id:value", "\"-3:1\""),
            ("1 99999999999999999:1", "an id of at most 4503599627370495", "id 99999999999999999"),
        ];
        for (row, expected, got) in cases {
            let p = parse_one(&format!("1 7:2\n{row}\n0 8:1\n"));
            assert_eq!((p.rows, p.bad_rows, p.bad[0].line), (2, 1, 1), "{row}");
            assert_eq!((p.bad[0].expected.as_str(), p.bad[0].got.as_str()), (expected, got), "{row}");
            let Body::Ragged(r) = p.body else { unreachable!() };
            assert!(matches!(r.ids, Ids::Narrow(ids) if ids == [7, 8]));
            assert_eq!(r.values.unwrap(), [2.0, 1.0]);
        }
    }
}
