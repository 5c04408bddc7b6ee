//! Rows straight from text, piece by piece, for who learns from each row once: keys are numbered as they come, and no row is kept.

use crate::choose::Namespaces;
use crate::chunk_rows::ChunkRows;
use crate::csv::Labels;
use crate::error::{DataError, Result};
use crate::label::LabelKind;
use crate::names::Texts;
use crate::negatives::Negatives;
use crate::options::ReadOptions;
use crate::par;
use crate::parsed::Parsed;
use crate::read::Rows;
use crate::report::ReadReport;
use crate::schema::{Format, Schema};
use crate::sightings::{Sight, Sightings};
use crate::source::{self, Input};
use crate::stdin::Until;
use crate::stream::{Stream, Want};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Some rows whose entries refer to keys by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// One a row, of the schema's kind.
    pub labels: Vec<f32>,
    /// Example weights; `None`: all 1.
    pub weights: Option<Vec<f32>>,
    /// Entries of each row.
    pub lengths: Vec<u32>,
    /// Numbers of the entries' keys, row by row; a row has each once, in any order.
    pub ids: Vec<u32>,
    /// One an entry; `None`: all 1.
    pub values: Option<Vec<f32>>,
    /// Keys that no piece before had; their numbers follow on those of all before.
    pub fresh: Vec<u64>,
}

/// Streams the labelled rows of inputs in pieces of about 256 KiB of text, in their order; 4,294,967,295 rows at most. A key's number is how many different ones
/// came before it. What is kept is the keys, with 32 MiB of their texts at most.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("x.vw").display().to_string();
/// std::fs::write(&path, "1 |a x y\n0 |a y z:2\n")?;
/// let options = handcar_data::ReadOptions { threads: 1, ..Default::default() };
/// let mut pieces = handcar_data::pieces(&[path], &options)?;
/// let piece = pieces.next().unwrap()?;
/// assert_eq!((piece.lengths, piece.ids), (vec![2, 2], vec![0, 1, 1, 2]));
/// assert_eq!((pieces.keys().len(), pieces.text_of(2)), (3, Some("a^z")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Any [`DataError`], among them those of label texts of which either may be positive, which only all rows decide; errors of later
/// rows come from the iterator, which ends with them.
pub fn pieces(inputs: &[String], options: &ReadOptions) -> Result<Pieces> {
    open(inputs, options, None)
}

/// As [`pieces`]; standard input ends, after its last whole row, once `until` says so, though the pipe may stay open and silent.
///
/// # Errors
/// As of [`pieces`].
pub fn pieces_until(inputs: &[String], options: &ReadOptions, until: Until) -> Result<Pieces> {
    open(inputs, options, Some(until))
}

fn open(inputs: &[String], options: &ReadOptions, until: Option<Until>) -> Result<Pieces> {
    let inputs = source::expand(inputs)?;
    let end = Arc::new(AtomicBool::new(false));
    let told = end.clone();
    let until: Until = Arc::new(move || told.load(Ordering::Relaxed) || until.as_ref().is_some_and(|until| until()));
    let mut stream = Stream::open_until(&inputs, None, options, Want::Labels, Some(until))?;
    if let Labels::Text = stream.labels() {
        let expected = "the positive label, as only all rows tell which is the rarer".into();
        return Err(DataError::Option { option: "positive", expected, got: "none".into() });
    }
    stream.as_read();
    Ok(Pieces {
        schema: stream.schema().clone(),
        failed: None,
        end,
        stream: Some(stream),
        rows: Rows::new(&inputs, options.on_bad_row),
        inputs,
        threads: options.thread_count(),
        negatives: options.negatives,
        rows_seen: 0,
        namespaces: Namespaces::default(),
        ready: VecDeque::new(),
        sightings: Sightings::new(),
        texts: Texts::default(),
        rows_numbered: 0,
    })
}

/// The pieces of [`pieces`], and the keys so far.
pub struct Pieces {
    /// `None`: at the end, or failed.
    stream: Option<Stream>,
    rows: Rows,
    threads: usize,
    negatives: Option<Negatives>,
    /// Rows parsed, those that are thinned out among them.
    rows_seen: u64,
    namespaces: Namespaces,
    ready: VecDeque<(Parsed, ChunkRows)>,
    schema: Schema,
    inputs: Vec<Input>,
    /// What went wrong after the rows that are ready.
    failed: Option<DataError>,
    end: Arc<AtomicBool>,
    sightings: Sightings,
    texts: Texts,
    rows_numbered: u32,
}

/// Entries ahead of the one being numbered whose keys are looked for: as many lines as a core can wait for at once, and some.
const AHEAD: usize = 24;

impl Piece {
    /// Adds entries that repeat one of their row to it, and leaves them out; given are their rows and places.
    fn join(&mut self, again: &[(usize, usize)]) {
        let values = self.values.get_or_insert_with(|| vec![1.0; self.ids.len()]);
        let mut begin = 0;
        let mut next = again.iter().peekable();
        for (row, len) in self.lengths.iter_mut().enumerate() {
            let all = begin + *len as usize;
            if next.peek().is_some_and(|(r, _)| *r == row) {
                let mut firsts: HashMap<u32, usize> = HashMap::new();
                (begin..all).for_each(|e| {
                    firsts.entry(self.ids[e]).or_insert(e);
                });
                while let Some((_, entry)) = next.next_if(|(r, _)| *r == row) {
                    values[firsts[&self.ids[*entry]]] += values[*entry];
                    *len -= 1;
                }
            }
            begin = all;
        }
        let mut out = again.iter().map(|(_, entry)| *entry).peekable();
        let mut at = 0..self.ids.len();
        let kept: Vec<usize> = at.by_ref().filter(|e| out.next_if_eq(e).is_none()).collect();
        self.ids = kept.iter().map(|&e| self.ids[e]).collect();
        self.values = Some(kept.iter().map(|&e| values[e]).collect());
    }
}

impl Pieces {
    /// The keys so far, by number.
    pub fn keys(&self) -> &[u64] {
        &self.sightings.keys
    }

    /// The text that a key comes from, if it is known.
    pub fn text_of(&self, number: u32) -> Option<&str> {
        let text = self.texts.get(number as usize).filter(|text| !text.is_empty())?;
        std::str::from_utf8(text).ok()
    }

    /// What has been read so far.
    pub fn report(&self) -> &ReadReport {
        &self.rows.report
    }

    /// What the columns mean.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Whether reading may wait for long: standard input is among the inputs.
    pub fn may_wait(&self) -> bool {
        self.inputs.contains(&Input::Stdin)
    }

    /// Once true, standard input ends after its last whole row, though the pipe may stay open and silent.
    pub fn end(&self) -> Arc<AtomicBool> {
        self.end.clone()
    }

    /// Parses more chunks; whether there were any.
    fn parse(&mut self) -> Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let Some(mut batch) = stream.next_batch()? else { return Ok(false) };
        if let Some(negatives) = self.negatives {
            for parsed in &mut batch {
                let first = self.rows_seen;
                self.rows_seen += parsed.rows as u64;
                negatives.thin(parsed, first);
            }
        }
        for (i, parsed) in batch.iter_mut().enumerate() {
            if let Err(e) = self.rows.account(parsed) {
                // Rows before are learned from, however many were parsed side by side.
                self.failed = Some(e);
                batch.truncate(i);
                break;
            }
            if stream.schema().label.kind == LabelKind::Binary {
                self.rows.report.positives += parsed.labels.iter().filter(|&&l| l > 0.0).count() as u64;
            }
            self.namespaces.join(std::mem::take(&mut parsed.namespaces), stream.schema());
        }
        let schema = stream.schema();
        self.ready.extend(par::map(self.threads, batch, |mut parsed| {
            let rows = ChunkRows::take(&mut parsed, schema);
            (parsed, rows)
        }));
        Ok(true)
    }

    /// What only the end tells.
    fn finish(&mut self) -> Result<()> {
        let Some(stream) = self.stream.take() else { return Ok(()) };
        let file = || self.rows.files();
        let report = &self.rows.report;
        if report.rows == 0 {
            return Err(DataError::Empty { file: file() });
        }
        if let (Labels::Positive(positive, _), 0) = (stream.labels(), report.positives) {
            let expected = format!("at least one row labelled {positive:?}");
            return Err(DataError::Labels { file: file(), expected, got: "none".into() });
        }
        if stream.schema().format == Format::Vw {
            self.namespaces.check(stream.schema())?;
        }
        let mut notes: Vec<String> = self.negatives.iter().map(|n| n.note(report, self.rows_seen)).collect();
        let binary = stream.schema().label.kind == LabelKind::Binary;
        if binary && (report.positives == 0 || report.positives == report.rows) {
            notes.push(format!("labels: all {} rows are of one class", report.rows));
        }
        self.rows.report.notes.append(&mut notes);
        Ok(())
    }

    /// Numbers the keys of a chunk.
    fn number(&mut self, mut parsed: Parsed, mut rows: ChunkRows) -> Piece {
        let mut piece = Piece {
            labels: std::mem::take(&mut parsed.labels),
            weights: parsed.weights.take(),
            lengths: std::mem::take(&mut rows.lengths),
            ids: Vec::with_capacity(rows.keys.len()),
            values: rows.values.take(),
            fresh: Vec::new(),
        };
        let known = self.sightings.keys.len();
        let Self { sightings, texts, schema, rows_numbered, .. } = self;
        let (mut entry, mut again) = (0, Vec::new());
        for (row, &len) in piece.lengths.iter().enumerate() {
            *rows_numbered += 1;
            for _ in 0..len {
                if let Some(&later) = rows.keys.get(entry + AHEAD) {
                    sightings.ask(later);
                }
                piece.ids.push(match sightings.see(rows.keys[entry], *rows_numbered) {
                    Sight::Known(number) => number,
                    Sight::New(number) => {
                        rows.note_text(entry, &parsed, schema, texts);
                        number
                    }
                    Sight::Again(number) => {
                        again.push((row, entry));
                        number
                    }
                });
                entry += 1;
            }
        }
        piece.fresh = sightings.keys[known..].to_vec();
        if !again.is_empty() {
            piece.join(&again);
        }
        if let Some(stream) = &mut self.stream {
            stream.recycle(vec![parsed]);
        }
        piece
    }

    fn piece(&mut self) -> Result<Option<Piece>> {
        loop {
            match self.ready.pop_front() {
                Some((_, rows)) if rows.lengths.is_empty() => {}
                Some((parsed, rows)) => return Ok(Some(self.number(parsed, rows))),
                None => {
                    if let Some(e) = self.failed.take() {
                        return Err(e);
                    }
                    if !self.parse()? {
                        return self.finish().map(|()| None);
                    }
                }
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.as_ref()?;
        let next = self.piece();
        if next.is_err() {
            self.stream = None;
        }
        next.transpose()
    }
}
