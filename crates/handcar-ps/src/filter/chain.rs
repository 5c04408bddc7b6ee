//! `Chain`: the filters of one table, direction and peer, in order.

use super::Filter;
use super::block::{Block, Payload, payload_bytes_max};
use super::context::{Context, Direction};
use super::error::FilterError;
use super::header;
use super::received::Received;
use super::rows::Rows;
use crate::values::{Dtype, Values};
use handcar_base::{Key, KeyList, hash};
use std::collections::BTreeSet;
use std::fmt;

/// What a chain is for.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub direction: Direction,
    pub dtype: Dtype,
    pub width: usize,
}

/// Bytes that went through one filter of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The filter.
    pub name: String,
    /// Which way the messages went.
    pub direction: Direction,
    /// Bytes before encoding.
    pub before: u64,
    /// Bytes after encoding.
    pub after: u64,
}

/// Filters in sending order. One end of a table, direction and peer has one chain, and uses it either to encode or to
/// decode, message by message in the order of their tasks.
pub struct Chain {
    filters: Vec<Box<dyn Filter>>,
    spec_hash: u32,
    link: Link,
    saved: Vec<(u64, u64)>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.filters.iter().map(|x| x.name()).collect();
        f.debug_struct("Chain").field("filters", &names).field("link", &self.link).finish_non_exhaustive()
    }
}

impl Chain {
    pub(crate) fn new(filters: Vec<Box<dyn Filter>>, spec: &str, link: Link) -> Result<Self, FilterError> {
        let mut maker: Option<&str> = None;
        for filter in &filters {
            if let Some(maker) = maker.filter(|_| !filter.takes_bytes()) {
                let expected = format!("to stand before {maker}, which makes bytes of numbers");
                return Err(FilterError::unfit(expected, "a place behind it").of(filter.name()));
            }
            if filter.gives_bytes() {
                maker.get_or_insert(filter.name());
            }
        }
        let saved = vec![(0, 0); filters.len()];
        Ok(Self { spec_hash: hash::bytes(spec.as_bytes(), 0) as u32, filters, link, saved })
    }

    /// Whether there is no filter, so that messages need not be encoded at all.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// Whether the receiver gets exactly what was sent, so that the chain only saves bytes.
    pub fn is_exact(&self) -> bool {
        self.filters.iter().all(|f| f.exact())
    }

    /// Whether some filter holds anything back.
    pub fn holds(&self) -> bool {
        self.filters.iter().any(|f| !f.held().is_empty())
    }

    /// Encodes the values of a key list, `[keys * width]`, into one self-contained message. Call it once a message and
    /// keep the bytes for resending.
    ///
    /// # Errors
    /// [`FilterError`] if a filter cannot carry the values. The message counts as refused: what filters before that one
    /// held back of it is not sent later.
    pub fn encode(&mut self, cx: &Context<'_>, keys: &KeyList, values: Values) -> Result<Vec<u8>, FilterError> {
        let block = self.block(keys, Rows::all(keys.len()), Payload::Numbers(values));
        self.encode_block(cx, block)
    }

    /// Encodes everything that filters hold back, for any message; `None` if they hold nothing. Send it like a push of
    /// the keys returned, as a task of its own.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn flush(&mut self, cx: &Context<'_>) -> Result<Option<(KeyList, Vec<u8>)>, FilterError> {
        let keys: BTreeSet<Key> = self.filters.iter().flat_map(|f| f.held()).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        let keys = KeyList::new(keys.into_iter().collect())
            .map_err(|e| FilterError::unfit("increasing keys", e.to_string()).of("chain"))?;
        let nothing = Payload::Numbers(Values::empty(self.link.dtype));
        let block = self.block(&keys, Rows::none(keys.len()), nothing);
        let cx = Context { flush: true, marked: None, ..cx.clone() };
        let bytes = self.encode_block(&cx, block)?;
        Ok(Some((keys, bytes)))
    }

    /// Decodes one message over a known key list. The same bytes may be decoded again, with the same result as long as
    /// no later task was decoded between.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if the bytes are no message of this chain's other end; any bytes are safe to try, and take
    /// no more memory than the keys justify. [`FilterError::Behind`] if an earlier message is missing.
    pub fn decode(&mut self, cx: &Context<'_>, keys: &KeyList, bytes: &[u8]) -> Result<Received, FilterError> {
        self.check_direction(cx)?;
        let form = (self.link.dtype, self.link.width);
        let bound = payload_bytes_max(keys.len(), self.link.width);
        // Besides the values: the rows, and for each filter a set of rows or two numbers a column.
        let bound = bound.saturating_add((1 + self.filters.len()) * (1024 + keys.len() + 16 * self.link.width));
        if bytes.len() > bound {
            return Err(FilterError::unfit(format!("at most {bound} bytes"), bytes.len().to_string()).of("chain"));
        }
        let (mut block, notes, exact) =
            header::read(bytes, self.spec_hash, self.filters.len(), keys, form).map_err(|e| e.of("chain"))?;
        let mut beside: usize = notes.iter().map(|n| n.len()).sum();
        for (place, filter) in self.filters.iter_mut().enumerate().rev() {
            if exact && !filter.exact() {
                continue;
            }
            let cx = Context { place: place as u32, ..cx.clone() };
            let after = beside + size(&block);
            beside -= notes[place].len();
            block = filter
                .decode(&cx, block, notes[place])
                .and_then(|b| check(b, keys, self.link))
                .map_err(|e| e.of(filter.name()))?;
            count(&mut self.saved[place], beside + size(&block), after);
        }
        match block.payload {
            Payload::Numbers(values) => Ok(Received { rows: block.rows, values }),
            Payload::Bytes(_) => Err(FilterError::unfit("numbers", "bytes that no filter made").of("chain")),
        }
    }

    /// Bytes before and after each filter so far, in sending order.
    pub fn saved(&self) -> Vec<Saved> {
        let both = self.filters.iter().zip(&self.saved);
        both.map(|(filter, &(before, after))| {
            let beside = filter.beside();
            let (before, after) = (before + beside.0, after + beside.1);
            Saved { name: filter.name().into(), direction: self.link.direction, before, after }
        })
        .collect()
    }

    /// Forgets what the other end is believed to know. After [`FilterError::Behind`] both ends do this, and the sender
    /// encodes anew; nothing held back is lost.
    pub fn reset(&mut self) {
        for filter in &mut self.filters {
            filter.reset();
        }
    }

    fn block(&self, keys: &KeyList, rows: Rows, payload: Payload) -> Block {
        Block { keys: keys.clone(), rows, dtype: self.link.dtype, width: self.link.width, payload }
    }

    fn encode_block(&mut self, cx: &Context<'_>, mut block: Block) -> Result<Vec<u8>, FilterError> {
        self.check_direction(cx)?;
        block.check().map_err(|e| e.of("chain"))?;
        let keys = block.keys.clone();
        let mut notes: Vec<Vec<u8>> = Vec::with_capacity(self.filters.len());
        let mut beside = 0;
        for (place, filter) in self.filters.iter_mut().enumerate() {
            if cx.exact && !filter.exact() {
                notes.push(Vec::new());
                continue;
            }
            let cx = Context { place: place as u32, ..cx.clone() };
            let mut note = Vec::new();
            let before = beside + size(&block);
            block = filter
                .encode(&cx, block, &mut note)
                .and_then(|b| check(b, &keys, self.link))
                .map_err(|e| e.of(filter.name()))?;
            beside += note.len();
            notes.push(note);
            count(&mut self.saved[place], before, beside + size(&block));
        }
        Ok(header::write(self.spec_hash, &block, &notes, cx.exact))
    }

    fn check_direction(&self, cx: &Context<'_>) -> Result<(), FilterError> {
        if cx.direction == self.link.direction {
            return Ok(());
        }
        Err(FilterError::unfit(format!("a {}", self.link.direction), format!("a {}", cx.direction)).of("chain"))
    }
}

fn size(block: &Block) -> usize {
    block.rows.bytes() + block.payload.bytes()
}

fn count(saved: &mut (u64, u64), before: usize, after: usize) {
    saved.0 += before as u64;
    saved.1 += after as u64;
}

/// Checks what a filter, perhaps of another crate, made of a block.
fn check(block: Block, keys: &KeyList, link: Link) -> Result<Block, FilterError> {
    block.check()?;
    let fits = block.rows.len() == keys.len() && block.keys == *keys;
    if !fits || (block.dtype, block.width) != (link.dtype, link.width) {
        return Err(FilterError::unfit("to keep keys, type and width of the block", "others"));
    }
    let bound = payload_bytes_max(keys.len(), link.width);
    if block.payload.bytes() > bound {
        return Err(FilterError::unfit(format!("values of at most {bound} bytes"), block.payload.bytes().to_string()));
    }
    Ok(block)
}
