//! `PieceRecord`: where the entries of one table and position range are, and how to know them.

use super::error::{Error, Result};
use super::hash::Hash;
use super::hex;
use super::name::{BlobName, Folder};
use super::range::PositionRange;
use serde::{Deserialize, Serialize};

/// Longest piece. A piece is in memory whole when written and read; ranges can be cut as fine as needed.
pub const PIECE_BYTES_MAX: u64 = 1 << 30;

/// Longest meta: duplicate records of a thousand workers take some 32 KiB, and the manifest carries all of it.
pub const META_BYTES_MAX: usize = 256 << 10;

/// The folder of pieces.
pub(super) const PIECES: &str = "pieces";

/// Which entries a piece holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PieceId {
    /// The table's number.
    pub table: u32,
    /// The positions of its keys.
    pub range: PositionRange,
}

/// What a server tells the coordinator about a piece it wrote, and what the manifest keeps of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PieceRecord {
    /// Which entries.
    pub id: PieceId,
    /// BLAKE3 of the bytes; also names the blob.
    pub blake3: Hash,
    /// Length in bytes.
    pub bytes: u64,
    /// Number of keys inside.
    pub keys: u64,
    /// What the server wants back with the entries (clocks, duplicate records). Kept apart from the bytes because it
    /// changes even when no entry does.
    #[serde(with = "hex::bytes")]
    pub meta: Vec<u8>,
}

impl PieceRecord {
    /// The record of a piece that holds `bytes`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the bytes or the meta are longer than allowed.
    pub fn of(id: PieceId, keys: u64, bytes: &[u8], meta: &[u8]) -> Result<Self> {
        let record = Self { id, blake3: Hash::of(bytes), bytes: bytes.len() as u64, keys, meta: meta.to_vec() };
        record.check()?;
        Ok(record)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.bytes > PIECE_BYTES_MAX {
            let expected = format!("at most {PIECE_BYTES_MAX} bytes (cut the range)");
            return Err(Error::argument("piece", expected, self.bytes.to_string()));
        }
        if self.meta.len() > META_BYTES_MAX {
            let expected = format!("at most {META_BYTES_MAX} bytes of meta");
            return Err(Error::argument("piece", expected, self.meta.len().to_string()));
        }
        Ok(())
    }

    /// The blob that holds the bytes.
    pub fn name(&self) -> BlobName {
        match Folder::new(PIECES).and_then(|f| f.blob(&self.blake3.to_string())) {
            Ok(name) => name,
            Err(e) => unreachable!("64 hexadecimal digits are a name: {e}"),
        }
    }

    /// The record as bytes, to send to the coordinator.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`PieceRecord::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Error::Argument`] for anything else, or for lengths beyond the bounds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let record: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::argument("piece record", "the JSON of a record", e.to_string()))?;
        record.check()?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_way_to_the_coordinator() {
        let id = PieceId { table: 3, range: PositionRange::WHOLE };
        let record = PieceRecord::of(id, 2, b"entries", b"\0clock").expect("a small piece");
        assert_eq!(PieceRecord::from_bytes(&record.to_bytes()), Ok(record.clone()));
        assert_eq!(record.name().folders().collect::<Vec<_>>(), [PIECES]);
        for hostile in [&b""[..], b"{}", b"[]", b"\xff", &record.to_bytes()[1..]] {
            assert!(PieceRecord::from_bytes(hostile).is_err());
        }
        let text = String::from_utf8(record.to_bytes()).expect("JSON is UTF-8");
        let huge = text.replace("\"bytes\":7", &format!("\"bytes\":{}", PIECE_BYTES_MAX + 1));
        assert!(huge != text && PieceRecord::from_bytes(huge.as_bytes()).is_err());
    }
}
