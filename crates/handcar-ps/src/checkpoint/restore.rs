//! `Worker::restore`: all tables out of a checkpoint.

use super::blobs::Blobs;
use super::manifest::Manifest;
use super::piece::PieceRecord;
use super::reader::{Choice, Reader};
use super::save::{damaged, positions};
use super::table::ShapeRecord;
use crate::engine::task::{Submission, Work};
use crate::entries::Entries;
use crate::error::{Error, Result};
use crate::message::TableId;
use crate::worker::Worker;
use handcar_base::key::position;
use std::sync::Arc;

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    /// The checkpoint.
    pub manifest: Manifest,
    /// Where its tables are in this job, in the order of the manifest.
    pub tables: Vec<TableId>,
}

impl Worker {
    /// Gives the tables of a checkpoint the entries they had, on however many servers there are now. Collective: every
    /// worker calls it with a place that leads to the same storage. Tables are found by name and made if they are not
    /// there; what else they hold goes, other tables stay.
    ///
    /// Every byte is checked first, each worker checking its share: a checkpoint that is torn or altered is refused whole,
    /// and nothing has changed. That holds for [`Choice::Latest`] too: if the newest is damaged no older one is taken in its
    /// place, since nobody would notice; ask for it with [`Choice::Before`]. What filters hold back is sent first, so that it
    /// does not come on top later. For an example see [`save`](Self::save).
    ///
    /// # Errors
    /// [`Error::Checkpoint`], alike on all workers, names the worker and the file, and what was expected and found;
    /// [`Error::Argument`] if a table of that name has
    /// another updater or other parameters; what ended the job.
    pub fn restore(&mut self, from: &dyn Blobs, choice: Choice) -> Result<Restored> {
        let settled = self.settle();
        let first = self.rank() == 0;
        // Worker 0 chooses; the others may see a newer one already.
        let open = || if first { open(from, choice).map(Some).map_err(Error::from) } else { Ok(None) };
        let (reader, failed) = settled.and_then(|()| open()).map_or_else(|e| (None, Some(e)), |r| (r, None));
        let chosen = reader.as_ref().map_or(0, |r| r.manifest().sequence);
        let chosen = self.agree("restore", failed, vec![chosen as i64])?;
        let opened = match reader {
            Some(reader) => Ok(reader),
            None => Reader::open(from, Choice::Sequence(chosen[0] as u64)),
        };
        let checked = opened.map_err(Error::from).and_then(|reader| {
            self.share(reader.manifest()).try_for_each(|piece| read(&reader, piece).map(drop))?;
            self.fit(reader.manifest())?;
            Ok(reader)
        });
        let (reader, failed) = checked.map_or_else(|e| (None, Some(e)), |r| (Some(r), None));
        self.agree("restore", failed, Vec::new())?;
        let Some(reader) = reader else {
            return Err(Error::argument("restore", "a checkpoint", "none"));
        };
        let manifest = reader.manifest().clone();
        let mut tables = Vec::new();
        for t in &manifest.tables {
            tables.push(match self.table_named(&t.name) {
                Some(table) => table,
                None => self.create_table(&t.name, &t.updater, &t.params)?,
            });
        }
        let share: Vec<PieceRecord> = self.share(&manifest).cloned().collect();
        let put = share.iter().try_for_each(|piece| self.put_back(&reader, piece, &tables));
        self.agree("restore", put.err(), Vec::new())?;
        Ok(Restored { manifest, tables })
    }

    /// The pieces that this worker carries.
    fn share<'m>(&self, manifest: &'m Manifest) -> impl Iterator<Item = &'m PieceRecord> + use<'m> {
        manifest.pieces.iter().skip(self.rank()).step_by(self.workers())
    }

    /// Checks that the tables that are there already are the same.
    fn fit(&self, manifest: &Manifest) -> Result<()> {
        for t in &manifest.tables {
            let Some(id) = self.table_named(&t.name) else { continue };
            let made = self.made(id).map(|(_, updater, params)| (updater, params));
            let shape = self.shape(id).map(ShapeRecord::from);
            if made != Some((&t.updater[..], &t.params[..])) || shape.as_ref() != Some(&t.shape) {
                let expected = format!("table {:?} with updater {:?} as in the checkpoint", t.name, t.updater);
                let got = made.map_or("none".into(), |(u, p)| format!("{u:?} with {} bytes of parameters", p.len()));
                return Err(Error::argument("restore", expected, got));
            }
        }
        Ok(())
    }

    fn put_back(&mut self, reader: &Reader<'_>, piece: &PieceRecord, tables: &[TableId]) -> Result<()> {
        let at = reader.manifest().tables.iter().position(|t| t.id == piece.id.table);
        let Some(&table) = at.and_then(|at| tables.get(at)) else { return Ok(()) };
        let entries = read(reader, piece)?;
        let work = Work::Install { positions: positions(piece.id.range), entries: Arc::new(entries) };
        let task = self.submit(Submission { table, after: Vec::new(), work })?;
        self.wait(task).map(drop)
    }
}

/// The checkpoint chosen. One that is damaged is no reason to take another one.
fn open(from: &dyn Blobs, choice: Choice) -> super::error::Result<Reader<'_>> {
    let reader = Reader::open(from, choice)?;
    match (choice, reader.passed_over().first()) {
        (Choice::Latest, Some(newest)) => Err(newest.why.clone()),
        _ => Ok(reader),
    }
}

/// The entries of a piece, checked: its bytes, and that its keys are where it says.
fn read(reader: &Reader<'_>, piece: &PieceRecord) -> Result<Entries> {
    let wrong = |expected: String, got: String| damaged(piece.name().to_string(), expected, got);
    let entries = Entries::from_bytes(&reader.read(piece)?).map_err(|e| wrong("entries".into(), e))?;
    let within = positions(piece.id.range);
    match entries.keys().keys().iter().find(|&&key| !within.contains(position(key))) {
        Some(key) => Err(wrong(format!("keys at {}", piece.id.range), format!("key {key}"))),
        None => Ok(entries),
    }
}
