//! `zstd:level`: the compressor for slow networks (RFC 8878).

use super::error::FilterError;
use super::lossless::Codec;
use super::params::{Params, check};
use zstd::bulk::{Compressor, Decompressor};

/// Zstandard frames. Levels 1 to 19; 1 unless given, since a message should not wait for its compressor.
pub struct Zstd {
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
}

fn failed(what: &str) -> impl Fn(std::io::Error) -> FilterError + '_ {
    move |e| FilterError::unfit(what, e.to_string())
}

impl Codec for Zstd {
    fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(1)?;
        let what = "a level in 1..=19";
        let level = check(params.optional(0, what, 1)?, what, |l| (1..=19).contains(&l))?;
        Ok(Self {
            compressor: Compressor::new(level).map_err(failed("a compressor"))?,
            decompressor: Decompressor::new().map_err(failed("a decompressor"))?,
        })
    }

    fn pack(&mut self, plain: &[u8]) -> Result<Vec<u8>, FilterError> {
        self.compressor.compress(plain).map_err(failed("to compress"))
    }

    fn unpack(&mut self, packed: &[u8], len: usize) -> Result<Vec<u8>, FilterError> {
        let plain = self.decompressor.decompress(packed, len).map_err(failed(&format!("{len} plain bytes")))?;
        if plain.len() != len {
            return Err(FilterError::unfit(format!("{len} plain bytes"), plain.len().to_string()));
        }
        Ok(plain)
    }
}
