//! `Worker::save`: all tables into a checkpoint.
//!
//! Workers carry the pieces: each reads its share from the heads of the chains and writes it, so servers need no disk, and
//! a server that is lost meanwhile costs no more than the reading again of what it had not answered.

use super::blobs::Blobs;
use super::error::Error as Refused;
use super::hash::Hash;
use super::manifest::Manifest;
use super::piece::{PieceId, PieceRecord};
use super::range::PositionRange;
use super::table::{ShapeRecord, TableRecord};
use super::told;
use super::writer::Writer;
use crate::engine::task::{Submission, Work};
use crate::entries::Entries;
use crate::error::{Error, Result};
use crate::message::TableId;
use crate::worker::Worker;
use handcar_base::{KeyRange, RangeSet};

/// Keys in a piece: some hundred KiB, so that a change of few keys leaves most pieces as they are.
const PIECE_KEYS: u64 = 1 << 16;
/// Pieces of a table unless these would be too long: a server reads through all its keys for each.
const PIECES: u64 = 64;
/// Keys in a piece at most.
const PIECE_KEYS_MAX: u64 = 1 << 22;
/// Words that describe a piece to the other workers: hash, bytes, keys.
const WORDS: usize = 6;

/// Into how many pieces a table of so many keys is cut: a power of two, so that it seldom changes.
fn pieces_for(keys: u64) -> u32 {
    let few = keys.div_ceil(PIECE_KEYS).clamp(1, PIECES);
    few.max(keys.div_ceil(PIECE_KEYS_MAX)).next_power_of_two().min(1 << 16) as u32
}

pub(super) fn positions(range: PositionRange) -> RangeSet {
    KeyRange::new(range.first(), range.last() as u128 + 1).into()
}

impl Worker {
    /// Writes the entries of all tables as they are into a checkpoint. Collective: every worker calls it with a place that
    /// leads to the same storage; what is under way is
    /// waited for first, what filters hold back is sent, and nobody goes on before the checkpoint is
    /// complete. A piece that has not changed since an earlier checkpoint in that place is not written again. `job` is kept
    /// with it: `[A-Za-z0-9._-]{1,64}`.
    ///
    /// ```
    /// use handcar_base::KeyList;
    /// use handcar_ps::checkpoint::{Choice, MemoryBlobs};
    /// use handcar_ps::{Registry, driver::local};
    /// let place = MemoryBlobs::new();
    /// let keys = KeyList::new(vec![3, 8, 9]).unwrap();
    /// let mut worker = local::cluster(1, 3, &Registry::new()).remove(0);
    /// let table = worker.create_table("w", "sum.f32", &[])?;
    /// worker.push(table, &keys, vec![1.0f32, 2.0, 3.0]).wait()?;
    /// assert_eq!(worker.save(&place, "clicks")?.sequence, 1);
    /// worker.finish()?;
    ///
    /// let mut another = local::cluster(1, 2, &Registry::new()).remove(0);
    /// let restored = another.restore(&place, Choice::Latest)?;
    /// let pulled = another.pull(restored.tables[0], &keys).wait()?.pulled;
    /// assert_eq!(pulled, Some(vec![1.0f32, 2.0, 3.0].into()));
    /// # another.finish()?;
    /// # Ok::<(), handcar_ps::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Checkpoint`], alike on all workers, says which could not do its share and why, a full disk say: then there is
    /// no new checkpoint, earlier ones stay as they are, and the job goes on. [`Error::Argument`] in a job whose workers come and go; what ended
    /// the job.
    pub fn save(&mut self, to: &dyn Blobs, job: &str) -> Result<Manifest> {
        let writer = Writer::new(to);
        let first = self.rank() == 0;
        let settled = self.settle();
        // Nobody reads before all have pushed. Worker 0 says under which number, and in how many pieces.
        let mut words = vec![0; 1 + self.known_tables()];
        let found = settled.and_then(|()| self.plan(first, &writer));
        let failed = match found {
            Ok(found) => {
                words[..found.len()].copy_from_slice(&found);
                None
            }
            Err(error) => Some(error),
        };
        let words = self.agree("save", failed, words)?;
        let (sequence, counts) = (words[0] as u64, &words[1..]);
        let mut manifest = Manifest::new(job, sequence);
        manifest.parent = sequence.checked_sub(1).filter(|&s| s > 0);
        (manifest.epoch, manifest.servers) = (self.view().epoch, self.servers() as u32);
        let mut ids = Vec::new();
        for (id, &keys) in (0..).zip(counts) {
            manifest.tables.push(self.record(id)?);
            let shares = pieces_for(keys as u64);
            for n in 0..shares {
                ids.push(PieceId { table: id, range: PositionRange::share(n, shares)? });
            }
        }
        let (failed, words) = self.write_pieces(&writer, &ids);
        let words = self.agree("save", failed, words)?;
        for (id, words) in ids.into_iter().zip(words.chunks_exact(WORDS)) {
            let mut hash = [0; 32];
            for (bytes, word) in hash.chunks_exact_mut(8).zip(words) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            let (bytes, keys) = (words[4] as u64, words[5] as u64);
            manifest.pieces.push(PieceRecord { id, blake3: Hash(hash), bytes, keys, meta: Vec::new() });
        }
        let committed = if first { writer.commit(manifest.clone()).map(drop) } else { Ok(()) };
        self.agree("save", committed.err().map(Error::from), Vec::new())?;
        manifest.sort();
        Ok(manifest)
    }

    /// Waits for all tasks, and sends what filters hold back; a failure that nobody took is this call's.
    pub(super) fn settle(&mut self) -> Result<()> {
        while !self.idle_within(u64::MAX / 2)? {}
        self.take_failure().map_or(Ok(()), Err)?;
        (0..self.known_tables() as u32).try_for_each(|table| self.flush(TableId(table)))
    }

    /// The number of the next checkpoint, and how many keys each table has, copies among them.
    fn plan(&mut self, first: bool, writer: &Writer<'_>) -> Result<Vec<i64>> {
        if !first {
            return Ok(Vec::new());
        }
        let mut words = vec![writer.next_sequence()? as i64];
        for id in 0..self.known_tables() as u32 {
            words.push(self.entries(TableId(id), RangeSet::all(), false)?.0 as i64);
        }
        Ok(words)
    }

    /// Writes this worker's share of the pieces; words for all, zero for those of others.
    fn write_pieces(&mut self, writer: &Writer<'_>, ids: &[PieceId]) -> (Option<Error>, Vec<i64>) {
        let (rank, workers) = (self.rank(), self.workers());
        let mut words = vec![0; WORDS * ids.len()];
        for (n, &id) in ids.iter().enumerate().filter(|(n, _)| n % workers == rank) {
            let written = self.entries(TableId(id.table), positions(id.range), true).and_then(|(_, entries)| {
                Ok(writer.piece(id, entries.keys().len() as u64, &entries.to_bytes(), &[])?)
            });
            let record = match written {
                Ok(record) => record,
                Err(error) => return (Some(error), words),
            };
            let out = &mut words[WORDS * n..WORDS * (n + 1)];
            for (word, bytes) in out.iter_mut().zip(record.blake3.0.as_chunks().0) {
                *word = i64::from_le_bytes(*bytes);
            }
            (out[4], out[5]) = (record.bytes as i64, record.keys as i64);
        }
        (None, words)
    }

    fn entries(&mut self, table: TableId, positions: RangeSet, entries: bool) -> Result<(u64, Entries)> {
        let work = Work::Copy { positions, entries };
        let task = self.submit(Submission { table, after: Vec::new(), work })?;
        Ok(self.wait(task)?.copied.unwrap_or_default())
    }

    fn record(&self, id: u32) -> Result<TableRecord> {
        let (Some((name, updater, params)), Some(shape)) = (self.made(TableId(id)), self.shape(TableId(id))) else {
            return Err(Error::argument("save", "tables that were created", "one that is not yet"));
        };
        let (name, updater, params) = (name.to_string(), updater.to_string(), params.to_vec());
        Ok(TableRecord { id, name, updater, params, shape: ShapeRecord::from(shape) })
    }

    /// Adds up words of all workers, if none has failed. If one has, all hear of the first that did, and why.
    pub(super) fn agree(&mut self, op: &'static str, failed: Option<Error>, words: Vec<i64>) -> Result<Vec<i64>> {
        let mut all = vec![0; self.workers()];
        all[self.rank()] = failed.is_some() as i64;
        let workers = all.len();
        all.extend(words);
        let mut all = self.reduce(&all)?;
        let words = all.split_off(workers);
        let Some(first) = all.iter().position(|&failed| failed != 0) else { return Ok(words) };
        let own = failed.filter(|_| first == self.rank());
        let told = self.reduce(&own.as_ref().map_or_else(told::nothing, told::words))?;
        match own {
            Some(own @ (Error::Argument { .. } | Error::Refused { .. } | Error::Deadline { .. })) => Err(own),
            _ => Err(told::error(&told, op, first)),
        }
    }
}

/// A restored or written piece does not fit what servers hold.
pub(super) fn damaged(file: String, expected: impl Into<String>, got: impl Into<String>) -> Error {
    Refused::damaged(file, expected, got).into()
}
