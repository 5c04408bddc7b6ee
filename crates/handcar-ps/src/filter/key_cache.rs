//! `key-cache`: counts what naming key lists saves.

use super::Filter;
use super::block::Block;
use super::context::Context;
use super::error::FilterError;
use super::params::Params;

/// Bytes of a key list's name: 128 bits of hash and the length.
const NAME_BYTES: u64 = 24;

/// Changes nothing: both ends remember key lists by themselves, before any filter. Standing in a spec it makes the chain
/// count the bytes of the keys, before (all keys) and after (their name, where the caller says that it sufficed).
#[derive(Default)]
pub struct KeyCache {
    before: u64,
    after: u64,
}

impl KeyCache {
    /// `key-cache`, without parameters.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(0).map(|()| Self::default())
    }
}

impl Filter for KeyCache {
    fn name(&self) -> &str {
        "key-cache"
    }

    fn takes_bytes(&self) -> bool {
        true
    }

    fn exact(&self) -> bool {
        true
    }

    fn encode(&mut self, cx: &Context<'_>, block: Block, _note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let keys = 8 * block.keys.len() as u64;
        self.before += keys;
        self.after += if cx.keys_named { NAME_BYTES } else { keys };
        Ok(block)
    }

    fn decode(&mut self, _cx: &Context<'_>, block: Block, _note: &[u8]) -> Result<Block, FilterError> {
        Ok(block)
    }

    fn beside(&self) -> (u64, u64) {
        (self.before, self.after)
    }
}
