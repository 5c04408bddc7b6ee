//! Checkpoints: what servers hold, written so that it comes back whole or not at all.
//!
//! A checkpoint is a set of *pieces* and a *manifest*. A [`PieceId`] names the entries of one table whose positions
//! (`handcar_base::key::position`) lie in one range; the servers turn them into bytes and write them in parallel with
//! [`Writer::piece`]. One coordinator then collects their [`PieceRecord`]s and writes the [`Manifest`] last, with
//! [`Writer::commit`]: before that moment the checkpoint does not exist, after it the checkpoint is complete.
//!
//! ```text
//! pieces/<blake3 of the bytes>       written once: an unchanged piece is the same name
//! manifests/<sequence, 20 digits>    names its pieces with length and hash, and carries its own hash
//! ```
//!
//! A [`Reader`] opens the newest checkpoint whose manifest is intact and whose pieces are all there, covering every
//! position of every table exactly once; [`Reader::verify_all`] checks every byte before a server takes the first.
//! Pieces name ranges, not servers, so a checkpoint of n servers feeds any m.
//!
//! Where the bytes lie is behind [`Blobs`]: a directory ([`LocalBlobs`]), memory ([`MemoryBlobs`]) or, with the feature
//! `object-store`, S3 (`ObjectBlobs`). Hashes tell damage, not forgery: whoever can write to the place is trusted.

mod blobs;
mod cover;
mod envelope;
mod error;
mod hash;
mod hex;
mod manifest;
mod name;
mod piece;
mod prune;
mod range;
mod reader;
mod restore;
mod save;
mod table;
mod told;
mod writer;

pub use blobs::local::LocalBlobs;
pub use blobs::memory::MemoryBlobs;
#[cfg(feature = "object-store")]
pub use blobs::object::ObjectBlobs;
pub use blobs::place::{PlaceConfig, open_place};
pub use blobs::{Blobs, Listed, Put};
pub use error::{Error, Result};
pub use hash::Hash;
pub use manifest::{MANIFEST_BYTES_MAX, Manifest, PIECES_MAX, TABLES_MAX, VERSION};
pub use name::{BlobName, FOLDERS_MAX, Folder};
pub use piece::{META_BYTES_MAX, PIECE_BYTES_MAX, PieceId, PieceRecord};
pub use prune::Pruned;
pub use range::PositionRange;
pub use reader::{Choice, PassedOver, Reader};
pub use restore::Restored;
pub use table::{ShapeRecord, TableRecord};
pub use writer::Writer;
