//! Readers, packed cache, minibatches and column blocks for handcar.
//!
//! ```text
//! text ─source→ chunks ─stream→ parsed rows ─columns | ragged→ Dataset (keys, CSR, blocks) ⇄ cache file
//!                                           ─batch→ Batch (keys, CSR), for prediction in bounded memory
//!                                             ─pieces→ Piece (numbers of keys), to learn from each row once
//! ```
//!
//! Knows nothing about learning or parameter servers.
#![forbid(unsafe_code)]

mod batch;
mod block;
pub mod bucket;
mod cache;
mod choose;
mod chunk_rows;
mod columns;
mod criteo;
mod cross;
mod csv;
mod cuts;
mod dataset;
mod error;
mod infer;
mod key_texts;
mod label;
mod libsvm;
mod memory;
mod names;
mod negatives;
mod number;
mod options;
mod pack;
mod par;
mod parsed;
mod pieces;
mod ragged;
mod read;
mod report;
mod row_store;
mod schema;
mod section;
mod sightings;
mod source;
mod stamp;
mod stdin;
mod stream;
pub mod synth;
mod table;
mod transpose;
mod vw;

pub use batch::{Batch, Batches, batches};
pub use block::{ColumnBlock, Entries, OwnedBlocks};
pub use cache::CacheEntry;
pub use choose::Selection;
pub use cross::Cross;
pub use dataset::{Csr, Dataset, name_of_key};
pub use error::{DataError, Result};
pub use label::LabelKind;
pub use negatives::Negatives;
pub use options::{CachePolicy, OnBadRow, ReadOptions};
pub use pieces::{Piece, Pieces, pieces, pieces_until};
pub use read::{read, read_with_schema};
pub use report::{ReadReport, Stage};
pub use schema::{FieldKind, FieldSpec, Format, HashKind, LabelSpec, Missing, SCHEMA_VERSION, Schema, Unseen};
pub use stdin::Until;
pub use transpose::build_blocks;
