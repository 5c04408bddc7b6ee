//! Filters: what happens to the values of a message between sender and receiver.
//!
//! A [`Filter`] is a pair of encoder and decoder. A [`Chain`] applies filters in order at the sender and undoes them in
//! reverse at the receiver; both ends make it from the same [`Spec`] (`"zero,fixed-point:2,zstd:1"`) and a
//! [`FilterRegistry`], which a crate of its own may add filters to. There is one chain for each table, direction and peer
//! at each end. Pure code: no clock, no socket; random numbers come from the seed in the [`Context`]. The engines apply
//! the chains a table was created with, see [`TableFilters`] and
//! [`Worker::create_table_with`](crate::Worker::create_table_with).
//!
//! ```
//! use handcar_base::{KeyList, Seed};
//! use handcar_ps::filter::{Context, Direction, FilterRegistry, Spec};
//! use handcar_ps::{Dtype, TableId, Task};
//!
//! let spec: Spec = "zero,lz4".parse()?;
//! let registry = FilterRegistry::new();
//! let mut sender = registry.chain(&spec, Direction::Push, Dtype::F32, 1)?;
//! let mut receiver = registry.chain(&spec, Direction::Push, Dtype::F32, 1)?;
//!
//! let keys = KeyList::new(vec![3, 8, 9]).unwrap();
//! let cx = Context::new(TableId(0), Task(1), Direction::Push, 0, Seed(7));
//! let message = sender.encode(&cx, &keys, vec![1.5f32, 0.0, 2.0].into())?;
//! let received = receiver.decode(&cx, &keys, &message)?;
//! assert_eq!(received.values, vec![1.5f32, 0.0, 2.0].into());
//! # Ok::<(), handcar_ps::filter::FilterError>(())
//! ```
//!
//! Li et al., OSDI 2014, section 3.5; Li, Andersen, Smola, Yu, NIPS 2014, section 3.3.
//!
//! | name | effect | kind |
//! |---|---|---|
//! | `key-cache` | counts what naming key lists saves; the engine does the naming | exact |
//! | `zero`, `zero:drop` | leaves out rows that are all zero | exact |
//! | `kkt` | leaves out the rows the caller marked | the caller's choice |
//! | `countmin:T[:eps[:depth]]` | leaves out keys pushed at most T times so far | drops rare keys |
//! | `random-skip:phi` | sends a row with probability phi, divided by phi | unbiased |
//! | `significant:c[:add\|copy]` | holds rows back until they changed by more than c/t | late, not lost |
//! | `fixed-point:B` | B bytes a number | unbiased |
//! | `error-feedback:NAME...` | adds what the wrapped filter lost to the next push | late, not lost |
//! | `lz4`, `zstd[:level]` | compresses | exact |
//!
//! Not-a-number and infinity pass exactly through all filters but three, which refuse them: `fixed-point`,
//! `error-feedback`, and `significant` where it adds.

pub mod bytes;

mod block;
mod chain;
mod context;
mod countmin;
mod error;
mod error_feedback;
mod fixed_point;
mod grid;
mod header;
mod key_cache;
mod kkt;
mod lossless;
mod lz4;
mod owed;
mod params;
mod planes;
mod random_skip;
mod received;
mod registry;
mod rows;
mod significant;
mod sketch;
mod slots;
mod spec;
mod table;
mod zero;
mod zstd;

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod testing;

pub use block::{Block, Payload};
pub use chain::{Chain, Saved};
pub use context::{Context, Direction};
pub use error::FilterError;
pub use kkt::marks;
pub use params::Params;
pub use received::Received;
pub use registry::FilterRegistry;
pub use rows::Rows;
pub use sketch::CountMin;
pub use spec::Spec;
pub use table::TableFilters;

use handcar_base::Key;

/// An encoder and the decoder that undoes it.
///
/// Each end of a table, direction and peer has its own instance. The sender calls only `encode`, once a message (a resent
/// message has the same bytes); the receiver calls only `decode`, perhaps twice for the same message, and must then
/// give the same result. What an encoder knows and its decoder needs goes into `note`, a few bytes that travel with the
/// block. A decoder must take any note and any bytes without panic, and take no more memory than the block's keys justify.
pub trait Filter: Send {
    /// The name it is registered by.
    fn name(&self) -> &str;

    /// Encodes one message.
    ///
    /// # Errors
    /// [`FilterError`] if this filter cannot carry these values; the message is then not sent.
    fn encode(&mut self, cx: &Context<'_>, block: Block, note: &mut Vec<u8>) -> Result<Block, FilterError>;

    /// Decodes one message: the block as the encoder returned it, and its note.
    ///
    /// # Errors
    /// [`FilterError`] if no encoder can have made this block and note, or an earlier message is missing.
    fn decode(&mut self, cx: &Context<'_>, block: Block, note: &[u8]) -> Result<Block, FilterError>;

    /// Whether it can encode the bytes of another filter.
    fn takes_bytes(&self) -> bool {
        false
    }

    /// Whether it makes bytes of numbers.
    fn gives_bytes(&self) -> bool {
        false
    }

    /// Whether the receiver gets exactly what was sent, every row and bit: then the filter only saves bytes, and a driver
    /// whose servers share the worker's memory leaves it out.
    fn exact(&self) -> bool {
        false
    }

    /// Keys of which the sender holds something back, increasing. A message over them with [`Context::flush`] sends it.
    fn held(&self) -> Vec<Key> {
        Vec::new()
    }

    /// Forgets what the other end is believed to know; what is held back stays held.
    fn reset(&mut self) {}

    /// Bytes before and after this filter that are not in the block: of `key-cache`, the key list.
    fn beside(&self) -> (u64, u64) {
        (0, 0)
    }
}
