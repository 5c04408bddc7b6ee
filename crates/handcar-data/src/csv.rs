//! CSV rows to tokens, under a schema that names the columns. Quotes follow RFC 4180.

use crate::bucket::{self, MISSING};
use crate::cross;
use crate::error::{DataError, Result, RowError, quote};
use crate::label::LabelKind;
use crate::number;
use crate::parsed::{ABSENT, Body, Columns, Parsed};
use crate::schema::{FieldKind, FieldSpec, Schema};
use handcar_base::key;
use std::borrow::Cow;

/// What the columns of one file are, in the file's own order.
#[derive(Debug)]
pub(crate) struct CsvPlan {
    delimiter: u8,
    roles: Vec<Role>,
    names: Vec<String>,
    labels: Labels,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Ignore,
    Label,
    Weight,
    /// Position in the schema's fields.
    Field(usize),
}

/// How label cells are read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Labels {
    /// No labels wanted.
    Off,
    /// Numbers.
    Numeric(LabelKind),
    /// Two texts, as they come.
    Text,
    /// This text against all others, or against one other.
    Positive(String, Option<String>),
}

impl CsvPlan {
    /// Matches a header to the schema. `labels: Off` accepts a file without the label column.
    pub fn new(file: &str, header: &[u8], delimiter: u8, schema: &Schema, labels: Labels) -> Result<Self> {
        let names = header_names(header, delimiter);
        for (i, name) in names.iter().enumerate() {
            if names[..i].contains(name) {
                let expected = "columns with different names".into();
                return Err(DataError::Header { file: file.into(), expected, got: format!("two columns {name:?}") });
            }
        }
        let mut roles = vec![Role::Ignore; names.len()];
        let mut set = |name: &str, role| match names.iter().position(|n| n == name) {
            Some(i) => {
                roles[i] = role;
                Ok(())
            }
            None => Err(missing_column(file, name, &names)),
        };
        for (i, f) in schema.fields.iter().enumerate() {
            set(&f.name, Role::Field(i))?;
        }
        if let Some(w) = &schema.weight
            && labels != Labels::Off
        {
            set(w, Role::Weight)?;
        }
        if let (Some(l), true) = (&schema.label.column, labels != Labels::Off) {
            set(l, Role::Label)?;
        }
        Ok(Self { delimiter, roles, names, labels })
    }
}

pub(crate) fn missing_column(file: &str, name: &str, names: &[String]) -> DataError {
    let got = format!("columns {}", names.join(", "));
    DataError::Header { file: file.into(), expected: format!("a column {name:?}"), got }
}

/// Names of a header, without quotes and surrounding blanks.
pub(crate) fn header_names(header: &[u8], delimiter: u8) -> Vec<String> {
    let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
    let mut cells = Vec::new();
    split(header, delimiter, &mut cells);
    cells.iter().map(|c| String::from_utf8_lossy(&c.text(header)).into_owned()).collect()
}

/// Parses a chunk; the header of a first chunk must be cut off.
pub(crate) fn parse(file: usize, text: Vec<u8>, header: usize, plan: &CsvPlan, schema: &Schema) -> Parsed {
    let body = &text[header..];
    let stride = memchr::memchr_iter(b'\n', body).count() + 1;
    let mut out = Parsed::new(file, text.len(), Body::Ragged(Default::default()));
    out.lines = memchr::memchr_iter(b'\n', &text[..header]).count() as u64;
    let fields = schema.fields.len();
    let mut tokens = vec![MISSING; fields * stride];
    let mut values: Vec<Option<Vec<f32>>> =
        schema.fields.iter().map(|f| (f.kind == FieldKind::Number).then(|| vec![1.0; stride])).collect();
    let mut spans: Vec<Option<Vec<(u32, u32)>>> =
        schema.fields.iter().map(|f| (f.kind == FieldKind::Text).then(|| vec![(0, 0); stride])).collect();
    let mut weights = plan.roles.contains(&Role::Weight).then(Vec::new);
    let products = cross::products(schema);
    let mut cells = Vec::with_capacity(plan.roles.len());
    let mut at = header;
    while at < text.len() {
        let end = row_end(&text, at);
        let line = trim_end(&text[at..end]);
        if !line.is_empty() {
            split(line, plan.delimiter, &mut cells);
            let row = out.rows;
            let mut label = None;
            let mut weight = None;
            let mut one_row = || {
                if cells.len() != plan.roles.len() {
                    let expected = format!("{} columns", plan.roles.len());
                    return Err(RowError { line: 0, column: None, expected, got: cells.len().to_string() });
                }
                for ((cell, role), name) in cells.iter().zip(&plan.roles).zip(&plan.names) {
                    let at_column = |mut e: RowError| {
                        e.column = Some(name.clone());
                        e
                    };
                    match *role {
                        Role::Ignore => {}
                        Role::Label => label = Some(cell.text(line)),
                        Role::Weight => weight = Some(weight_of(&cell.text(line)).map_err(at_column)?),
                        Role::Field(f) => {
                            let content = cell.text(line);
                            let (token, value) = token(&content, &schema.fields[f], schema).map_err(at_column)?;
                            tokens[f * stride + row] = token;
                            if let Some(v) = &mut values[f] {
                                v[row] = value.unwrap_or(1.0);
                            }
                            if let Some(s) = &mut spans[f] {
                                s[row] = ((at + cell.begin) as u32, (cell.end - cell.begin) as u32);
                            }
                        }
                    }
                }
                products.iter().try_for_each(|p| p.check(&values, row))
            };
            match one_row().and_then(|()| label.map(|l| read_label(&l, &plan.labels, &mut out)).transpose()) {
                Ok(label) => {
                    out.labels.extend(label);
                    if let (Some(all), Some(w)) = (&mut weights, weight) {
                        all.push(w);
                    }
                    out.rows += 1;
                }
                Err(mut e) => {
                    if e.column.as_deref() == Some("label") {
                        e.column = schema.label.column.clone();
                    }
                    out.refuse(e);
                }
            }
        }
        out.lines += memchr::memchr_iter(b'\n', &text[at..end]).count() as u64;
        at = end;
    }
    out.weights = weights;
    let mut columns = Columns { stride, tokens, values, spans };
    cross::add_columns(&mut columns, out.rows, schema);
    out.body = Body::Columns(columns);
    out.text = text;
    out
}

fn read_label(cell: &[u8], labels: &Labels, out: &mut Parsed) -> std::result::Result<f32, RowError> {
    let column = || Some("label".to_string());
    match labels {
        Labels::Off => LabelKind::Binary.read(cell),
        Labels::Numeric(kind) => kind.read(cell),
        _ if missing(cell) => Err(RowError::new(column(), "a label", cell)),
        Labels::Text => Ok(out.label_text(cell)),
        Labels::Positive(p, _) if p.as_bytes() == cell => Ok(1.0),
        Labels::Positive(p, Some(n)) if n.as_bytes() != cell => {
            Err(RowError::new(column(), format!("{p:?} or {n:?}"), cell))
        }
        Labels::Positive(..) => Ok(-1.0),
    }
}

/// Whether a cell says that its value is missing.
pub(crate) fn missing(cell: &[u8]) -> bool {
    matches!(cell, b"" | b"?")
}

/// The token of a cell, and its value if that is not 1.
fn token(cell: &[u8], field: &FieldSpec, schema: &Schema) -> std::result::Result<(u64, Option<f32>), RowError> {
    if missing(cell) {
        return Ok((MISSING, None));
    }
    let finite = |what| match number::real(cell) {
        Some(x) if x.is_finite() => Ok(x),
        _ => Err(RowError::new(None, format!("{what} (or read the column as categories)"), cell)),
    };
    let token = match &field.kind {
        FieldKind::Integer => bucket::of_integer(match number::integer(cell) {
            Some(v) => v,
            // A fraction among integers counts as its integer part; the cast saturates.
            None => finite("an integer")? as i64,
        }),
        FieldKind::Bins { cuts } => {
            let x = finite("a finite number")?;
            1 + cuts.partition_point(|&c| c <= x) as u64
        }
        FieldKind::Number => {
            let x = finite("a finite number")? as f32;
            if !x.is_finite() {
                return Err(RowError::new(None, "a number within f32", cell));
            }
            return Ok(if x == 0.0 { (ABSENT, None) } else { (1, Some(x)) });
        }
        FieldKind::Hex => match number::hex(cell) {
            Some(v) => v as u64 + 1,
            None => return Err(RowError::new(None, "1 to 8 hexadecimal digits", cell)),
        },
        FieldKind::Text | FieldKind::Raw => {
            return Ok((key::value_of(key::of_text(field.id, cell, schema.seed, schema.bits)).max(1), None));
        }
    };
    Ok((schema.narrow(field.id, token), None))
}

fn weight_of(cell: &[u8]) -> std::result::Result<f32, RowError> {
    match number::real32(cell) {
        Some(w) if w.is_finite() && w >= 0.0 => Ok(w),
        _ => Err(RowError::new(None, "a finite weight of 0 or more", cell)),
    }
}

/// Where a cell's content lies in its line.
pub(crate) struct Cell {
    begin: usize,
    end: usize,
    /// Whether doubled quotes must be halved.
    escaped: bool,
}

impl Cell {
    pub fn text<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let raw = &line[self.begin..self.end];
        if self.escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) }
    }
}

/// Halves doubled quotes.
pub(crate) fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(c) = bytes.next() {
        if c == b'"' && bytes.peek() == Some(&b'"') {
            bytes.next();
        }
        out.push(c);
    }
    out
}

/// The cells of a row: blanks around unquoted content are no part of it.
pub(crate) fn split(line: &[u8], delimiter: u8, cells: &mut Vec<Cell>) {
    cells.clear();
    let mut at = 0;
    loop {
        let blanks = line[at..].iter().take_while(|c| **c == b' ').count();
        let begin = at + blanks;
        if line.get(begin) == Some(&b'"') {
            let (mut end, mut escaped) = (begin + 1, false);
            loop {
                // A quote that is never closed reaches to the end of the row.
                end = memchr::memchr(b'"', &line[end..]).map_or(line.len(), |i| end + i);
                if line.get(end + 1) != Some(&b'"') {
                    break;
                }
                escaped = true;
                end += 2;
            }
            cells.push(Cell { begin: begin + 1, end, escaped });
            match memchr::memchr(delimiter, &line[end..]) {
                Some(i) => at = end + i + 1,
                None => return,
            }
        } else {
            let end = memchr::memchr(delimiter, &line[at..]).map_or(line.len(), |i| at + i);
            let begin = begin.min(end);
            let blanks = line[begin..end].iter().rev().take_while(|c| **c == b' ').count();
            cells.push(Cell { begin, end: end - blanks, escaped: false });
            if end == line.len() {
                return;
            }
            at = end + 1;
        }
    }
}

/// The position after the row that begins at `at`; newlines inside quotes belong to it.
pub(crate) fn row_end(text: &[u8], at: usize) -> usize {
    let mut from = at;
    loop {
        let Some(end) = memchr::memchr(b'\n', &text[from..]).map(|i| from + i) else { return text.len() };
        if memchr::memchr_iter(b'"', &text[at..end]).count().is_multiple_of(2) {
            return end + 1;
        }
        from = end + 1;
    }
}

pub(crate) fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a person reads for a token of this field, if the token alone tells.
pub(crate) fn token_name(field: &FieldSpec, token: u64) -> Option<String> {
    if token == MISSING {
        return Some("(missing)".into());
    }
    match &field.kind {
        FieldKind::Integer => Some(bucket::name(token)),
        FieldKind::Hex => Some(format!("{:08x}", token - 1)),
        FieldKind::Number => Some(String::new()),
        FieldKind::Bins { cuts } => {
            let i = token as usize - 1;
            let low = i.checked_sub(1).and_then(|i| cuts.get(i)).map_or("-inf".into(), quote_number);
            Some(format!("[{low}, {})", cuts.get(i).map_or("inf".into(), quote_number)))
        }
        FieldKind::Text | FieldKind::Raw => None,
    }
}

fn quote_number(x: &f64) -> String {
    format!("{x}")
}

/// The header row of a first chunk: its end and its content.
pub(crate) fn header<'a>(file: &str, text: &'a [u8]) -> Result<(usize, &'a [u8])> {
    let end = row_end(text, 0);
    let line = trim_end(&text[..end]);
    if line.is_empty() {
        let expected = "a header with the names of the columns".into();
        return Err(DataError::Header { file: file.into(), expected, got: quote(line) });
    }
    Ok((end, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lose_quotes_and_blanks() {
        let cases: [(&str, &[&str]); 7] = [
            ("a,b", &["a", "b"]),
            (" a , b b ,", &["a", "b b", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"hi\"\"\", x", &["say \"hi\"", "x"]),
            ("", &[""]),
            (",", &["", ""]),
            ("\"open", &["open"]),
        ];
        for (line, expected) in cases {
            let mut cells = Vec::new();
            split(line.as_bytes(), b',', &mut cells);
            let got: Vec<_> =
                cells.iter().map(|c| String::from_utf8(c.text(line.as_bytes()).into()).unwrap()).collect();
            assert_eq!(got, expected, "{line}");
        }
    }
}
