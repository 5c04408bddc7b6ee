//! `lz4`: the fast compressor (Collet, LZ4 block format).

use super::error::FilterError;
use super::lossless::Codec;
use super::params::Params;

/// LZ4 blocks without a frame: a message has its own length and checksum.
pub struct Lz4;

impl Codec for Lz4 {
    fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(0).map(|()| Self)
    }

    fn pack(&mut self, plain: &[u8]) -> Result<Vec<u8>, FilterError> {
        Ok(lz4_flex::block::compress(plain))
    }

    fn unpack(&mut self, packed: &[u8], len: usize) -> Result<Vec<u8>, FilterError> {
        let mut plain = vec![0; len];
        match lz4_flex::block::decompress_into(packed, &mut plain) {
            Ok(n) if n == len => Ok(plain),
            Ok(n) => Err(FilterError::unfit(format!("{len} plain bytes"), n.to_string())),
            Err(e) => Err(FilterError::unfit(format!("{len} plain bytes"), e.to_string())),
        }
    }
}
