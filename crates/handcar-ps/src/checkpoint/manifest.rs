//! `Manifest`: what a checkpoint consists of.

use super::error::{Error, Result};
use super::name::{BlobName, Folder, is_component};
use super::piece::PieceRecord;
use super::table::TableRecord;
use super::{cover, hex};
use serde::{Deserialize, Serialize};

/// The format written, and the newest one read.
pub const VERSION: u32 = 1;

/// Longest manifest: a million pieces at 250 bytes.
pub const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// Most pieces of a checkpoint: 1 TiB of pieces of 1 MiB.
pub const PIECES_MAX: usize = 1 << 20;

/// Most tables of a checkpoint; far beyond any job.
pub const TABLES_MAX: usize = 1 << 16;

/// Longest name of a table or updater.
const LABEL_BYTES_MAX: usize = 256;

/// The folder of manifests.
pub(super) const MANIFESTS: &str = "manifests";

/// A whole checkpoint but for the bytes of its pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format: [`VERSION`].
    pub version: u32,
    /// The job it belongs to: `[A-Za-z0-9._-]{1,64}`, no leading dot.
    pub job: String,
    /// Its number; the highest is the latest.
    pub sequence: u64,
    /// The checkpoint from which this one reuses pieces, for the reader's information: nothing depends on it.
    pub parent: Option<u64>,
    /// The epoch of the view under which it was taken.
    pub epoch: u64,
    /// How many servers there were. It may be restored onto any other number.
    pub servers: u32,
    /// Round clocks and whatever else belongs to no single piece.
    #[serde(with = "hex::bytes")]
    pub clocks: Vec<u8>,
    /// The tables, by number.
    pub tables: Vec<TableRecord>,
    /// The pieces, by table and first position.
    pub pieces: Vec<PieceRecord>,
}

impl Manifest {
    /// A checkpoint without tables; fill the public fields.
    pub fn new(job: impl Into<String>, sequence: u64) -> Self {
        Self {
            version: VERSION,
            job: job.into(),
            sequence,
            parent: None,
            epoch: 0,
            servers: 0,
            clocks: Vec::new(),
            tables: Vec::new(),
            pieces: Vec::new(),
        }
    }

    /// The name of the manifest with a sequence number: 20 digits, so that names sort as numbers do.
    pub fn name(sequence: u64) -> BlobName {
        match Folder::new(MANIFESTS).and_then(|f| f.blob(&format!("{sequence:020}"))) {
            Ok(name) => name,
            Err(e) => unreachable!("20 digits are a name: {e}"),
        }
    }

    /// The sequence number in a name within the folder of manifests.
    pub(super) fn sequence_of(last: &str) -> Option<u64> {
        (last.len() == 20 && last.bytes().all(|b| b.is_ascii_digit())).then(|| last.parse().ok()).flatten()
    }

    /// The number of keys of all pieces.
    pub fn keys(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, p| sum.saturating_add(p.keys))
    }

    /// The bytes of all pieces.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, p| sum.saturating_add(p.bytes))
    }

    /// Sorts tables and pieces into the order a manifest has.
    pub(super) fn sort(&mut self) {
        self.tables.sort_by_key(|t| t.id);
        self.pieces.sort_by_key(|p| p.id);
    }

    /// Checks that the parts make a checkpoint: names, bounds, one table a number and a name, and pieces that cover
    /// every position of every table exactly once.
    ///
    /// # Errors
    /// [`Error::Argument`] names what does not fit.
    pub fn check(&self) -> Result<()> {
        let refuse = |expected: &str, got: String| Err(Error::argument("checkpoint", expected, got));
        if self.version != VERSION {
            return refuse(&format!("format {VERSION}"), self.version.to_string());
        }
        if !is_component(&self.job) {
            return refuse("a job name [A-Za-z0-9._-]{1,64} without a leading dot", format!("{:?}", self.job));
        }
        if self.tables.len() > TABLES_MAX || self.pieces.len() > PIECES_MAX {
            let got = format!("{} and {}", self.tables.len(), self.pieces.len());
            return refuse(&format!("at most {TABLES_MAX} tables and {PIECES_MAX} pieces"), got);
        }
        for pair in self.tables.windows(2) {
            if pair[0].id >= pair[1].id {
                return refuse("tables of increasing numbers", format!("{} then {}", pair[0].id, pair[1].id));
            }
        }
        let mut names = std::collections::BTreeSet::new();
        for table in &self.tables {
            for label in [&table.name, &table.updater] {
                if !(1..=LABEL_BYTES_MAX).contains(&label.len()) {
                    let expected = format!("names of tables and updaters of 1 to {LABEL_BYTES_MAX} bytes");
                    return refuse(&expected, format!("{} bytes", label.len()));
                }
            }
            if !names.insert(&table.name) {
                return refuse("one table a name", format!("{:?} twice", table.name));
            }
        }
        self.pieces.iter().try_for_each(PieceRecord::check)?;
        cover::check(&self.tables, &self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::super::piece::PieceId;
    use super::super::range::PositionRange;
    use super::super::table::ShapeRecord;
    use super::*;

    fn table(id: u32) -> TableRecord {
        let shape = ShapeRecord { push: "f32".into(), push_width: 1, pull: "f32".into(), pull_width: 1 };
        TableRecord { id, name: format!("t{id}"), updater: "sum.f32".into(), params: vec![], shape }
    }

    fn piece(table: u32, first: u64, last: u64) -> PieceRecord {
        let range = PositionRange::new(first, last).expect("a range");
        PieceRecord::of(PieceId { table, range }, 0, b"", b"").expect("a small piece")
    }

    fn with(tables: Vec<TableRecord>, pieces: Vec<PieceRecord>) -> Result<()> {
        Manifest { tables, pieces, ..Manifest::new("job", 1) }.check()
    }

    #[test]
    fn only_exact_cover_is_a_checkpoint() {
        let end = u64::MAX;
        assert_eq!(with(vec![], vec![]), Ok(()));
        assert_eq!(with(vec![table(1)], vec![piece(1, 0, end)]), Ok(()));
        assert_eq!(with(vec![table(1)], vec![piece(1, 0, 9), piece(1, 10, end)]), Ok(()));
        assert_eq!(with(vec![table(1), table(4)], vec![piece(1, 0, end), piece(4, 0, end)]), Ok(()));
        let broken = [
            ("nothing", vec![table(1)], vec![]),
            ("no start", vec![table(1)], vec![piece(1, 1, end)]),
            ("no end", vec![table(1)], vec![piece(1, 0, end - 1)]),
            ("gap", vec![table(1)], vec![piece(1, 0, 8), piece(1, 10, end)]),
            ("overlap", vec![table(1)], vec![piece(1, 0, 10), piece(1, 10, end)]),
            ("twice", vec![table(1)], vec![piece(1, 0, end), piece(1, 0, end)]),
            ("order", vec![table(1)], vec![piece(1, 10, end), piece(1, 0, 9)]),
            ("no table", vec![], vec![piece(1, 0, end)]),
            ("one table short", vec![table(1), table(2)], vec![piece(1, 0, end)]),
            ("one table more", vec![table(1)], vec![piece(1, 0, end), piece(2, 0, end)]),
            ("two of a number", vec![table(1), table(1)], vec![piece(1, 0, end), piece(1, 0, end)]),
        ];
        for (what, tables, pieces) in broken {
            assert!(matches!(with(tables, pieces), Err(Error::Argument { .. })), "{what}");
        }
    }

    #[test]
    fn names_of_manifests_sort_as_their_numbers() {
        let names: Vec<_> = [0, 9, 10, u64::MAX].map(Manifest::name).into();
        assert!(names.is_sorted());
        assert_eq!(Manifest::sequence_of(names[3].last()), Some(u64::MAX));
        for strange in ["7", "99999999999999999999", "+0000000000000000001", "0000000000000000000x"] {
            assert_eq!(Manifest::sequence_of(strange), None, "{strange}");
        }
    }
}
