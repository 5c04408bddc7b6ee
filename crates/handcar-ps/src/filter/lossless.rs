//! `Lossless`: what all compressors of values share.

use super::Filter;
use super::block::{Block, Payload, payload_bytes_max};
use super::bytes::{Reader, put_varint};
use super::context::Context;
use super::error::FilterError;
use super::params::Params;
use super::planes;

/// A compressor of bytes.
pub trait Codec: Send + Sized {
    /// Reads the parameters in the spec.
    fn new(params: &Params<'_>) -> Result<Self, FilterError>;
    /// Compresses.
    fn pack(&mut self, plain: &[u8]) -> Result<Vec<u8>, FilterError>;
    /// Decompresses to exactly `len` bytes; never takes memory for more.
    fn unpack(&mut self, packed: &[u8], len: usize) -> Result<Vec<u8>, FilterError>;
}

/// Compresses values, exactly. Numbers are first put in planes, so that bytes of equal meaning are neighbours; the bytes
/// of another filter are taken as they are. What does not get shorter travels as it is.
pub struct Lossless<C> {
    name: &'static str,
    codec: C,
}

/// The payload was numbers, not bytes.
const NUMBERS: u8 = 1;
/// The payload is compressed.
const PACKED: u8 = 2;

/// Rows wider than this are not put in planes as a whole: a plane should hold many bytes of one kind.
const PLANES_MAX: usize = 256;

impl<C: Codec> Lossless<C> {
    /// A compressor known by `name`.
    pub fn new(name: &'static str, params: &Params<'_>) -> Result<Self, FilterError> {
        Ok(Self { name, codec: C::new(params)? })
    }
}

/// Bytes of one item: a row, so that each number of a key has planes of its own.
fn item(block: &Block) -> usize {
    let row = block.width * block.dtype.bytes();
    if row <= PLANES_MAX { row } else { block.dtype.bytes() }
}

impl<C: Codec> Filter for Lossless<C> {
    fn name(&self) -> &str {
        self.name
    }

    fn takes_bytes(&self) -> bool {
        true
    }

    fn gives_bytes(&self) -> bool {
        true
    }

    fn exact(&self) -> bool {
        true
    }

    fn encode(&mut self, _cx: &Context<'_>, mut block: Block, note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let item = item(&block);
        let (flag, plain) = match block.payload {
            Payload::Numbers(values) => {
                let mut bytes = Vec::with_capacity(values.len() * values.dtype().bytes());
                planes::put(&values, &mut bytes);
                (NUMBERS, planes::split(&bytes, item))
            }
            Payload::Bytes(bytes) => (0, bytes),
        };
        let packed = self.codec.pack(&plain)?;
        let shorter = packed.len() < plain.len();
        note.push(flag | if shorter { PACKED } else { 0 });
        if shorter && flag != NUMBERS {
            // The length of numbers follows from the rows.
            put_varint(note, plain.len() as u64);
        }
        block.payload = Payload::Bytes(if shorter { packed } else { plain });
        Ok(block)
    }

    fn decode(&mut self, _cx: &Context<'_>, mut block: Block, note: &[u8]) -> Result<Block, FilterError> {
        let item = item(&block);
        let numbers = block.rows.count() * block.width;
        let mut r = Reader(note);
        let flags = r.u8()?;
        if flags > NUMBERS | PACKED {
            return Err(FilterError::unfit("flags in 0..=3", flags.to_string()));
        }
        let Payload::Bytes(bytes) = block.payload else {
            return Err(FilterError::unfit("compressed bytes", "numbers"));
        };
        let plain = if flags & PACKED == 0 {
            bytes
        } else {
            let bound = payload_bytes_max(block.keys.len(), block.width);
            let len = if flags & NUMBERS != 0 { numbers * block.dtype.bytes() } else { r.varint()? as usize };
            if len > bound {
                return Err(FilterError::unfit(format!("at most {bound} plain bytes"), len.to_string()));
            }
            self.codec.unpack(&bytes, len)?
        };
        r.end()?;
        block.payload = if flags & NUMBERS == 0 {
            Payload::Bytes(plain)
        } else {
            Payload::Numbers(planes::get(&planes::join(&plain, item), block.dtype, numbers)?)
        };
        Ok(block)
    }
}
