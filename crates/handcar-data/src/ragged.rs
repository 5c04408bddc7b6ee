//! From lists of ids to packed data.

use crate::dataset::{Csr, Packed};
use crate::names::{Names, Texts};
use crate::par;
use crate::parsed::{Ids, Ragged};
use crate::row_store::RowStore;
use crate::schema::Schema;
use crate::section::Section;
use crate::table::Table;
use crate::transpose::build_blocks;
use handcar_kernels::huge_pages;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Up to here seen ids are marked in a bit map (32 MiB at most), beyond in a hash table.
const BITMAP_IDS: u64 = 1 << 28;

/// Collects chunks of rows.
#[derive(Default)]
pub(crate) struct RaggedBuilder {
    chunks: Vec<Ragged>,
    /// Where chunks number keys of their own: the numbers of all. Ids of such chunks become these numbers.
    numbers: Option<Table>,
    names: Texts,
}

impl RaggedBuilder {
    pub fn push(&mut self, mut chunk: Ragged) {
        if let Ids::Local { ids, keys, names } = &mut chunk.ids {
            let table = self.numbers.get_or_insert_with(Table::new);
            let (mut numbers, mut known) = (Vec::with_capacity(keys.len()), table.values.len());
            table.numbers(keys, &mut numbers);
            for (i, &number) in numbers.iter().enumerate() {
                if number as usize > known {
                    known = number as usize;
                    // An empty text keeps the place of one that its chunk no longer took.
                    self.names.push(&[names.get(i).unwrap_or_default()]);
                }
            }
            ids.iter_mut().for_each(|id| *id = numbers[*id as usize - 1]);
            chunk.ids = Ids::Narrow(std::mem::take(ids));
        }
        self.chunks.push(chunk);
    }

    /// Sorts keys, renumbers ids and builds the blocks.
    pub fn finish(self, schema: &Schema, labels: Vec<f32>, weights: Option<Vec<f32>>, threads: usize) -> Packed {
        let chunks = self.chunks;
        let highest = par::map(threads, chunks.iter().collect(), |c| c.ids.highest()).into_iter().max().unwrap_or(0);
        let mut names = Vec::new();
        let (keys, rank) = match self.numbers {
            Some(table) => {
                let named = table.values.iter().enumerate().map_while(|(i, &key)| Some((key, self.names.get(i)?)));
                names.extend(named.filter(|(_, name)| !name.is_empty()));
                let (keys, ranks) = table.into_ranks();
                (keys, Rank::Numbers { ranks })
            }
            None if highest < BITMAP_IDS => seen(&chunks, highest, threads),
            None => tabled(&chunks),
        };
        let total: usize = chunks.iter().map(|c| c.ids.len()).sum();
        let any_values = chunks.iter().any(|c| c.values.is_some());
        let mut offsets = Vec::with_capacity(labels.len() + 1);
        let mut ids = vec![0u32; total];
        huge_pages::advise(&ids);
        let mut values = any_values.then(|| Vec::with_capacity(total));
        offsets.push(0);
        let mut parts = Vec::with_capacity(chunks.len());
        let (mut rest, mut end) = (&mut ids[..], 0u64);
        for chunk in chunks {
            for &len in &chunk.lengths {
                end += len as u64;
                offsets.push(end);
            }
            if let Some(all) = &mut values {
                match &chunk.values {
                    Some(v) => all.extend_from_slice(v),
                    None => all.resize(all.len() + chunk.ids.len(), 1.0),
                }
            }
            let (part, after) = rest.split_at_mut(chunk.ids.len());
            rest = after;
            parts.push((part, chunk.ids));
        }
        // The raw ids of a chunk are freed as soon as they are renumbered.
        par::map(threads, parts, |(part, raw)| match (raw, &rank) {
            (Ids::Narrow(raw), Rank::Numbers { ranks }) => {
                part.iter_mut().zip(&raw).for_each(|(o, &id)| *o = ranks[id as usize] - 1);
            }
            (Ids::Narrow(raw), _) => part.iter_mut().zip(&raw).for_each(|(o, &id)| *o = rank.of(id as u64)),
            (Ids::Wide(raw) | Ids::AsRead { keys: raw, .. }, _) => {
                part.iter_mut().zip(&raw).for_each(|(o, &id)| *o = rank.of(id))
            }
            (Ids::Local { .. }, _) => unreachable!("renumbered when it came"),
        });
        drop(rank);
        let csr = Csr { offsets: &offsets, ids: &ids, values: values.as_deref() };
        let (blocks, nonzeros) = (build_blocks(csr, &keys).0, ids.len() as u64);
        // Given back before the cache is written, whose pages then need no fresh memory.
        drop((offsets, ids, values));
        Packed {
            schema: schema.clone(),
            labels: Section::Owned(labels),
            weights: weights.map(Section::Owned),
            keys: Section::Owned(keys),
            rows: RowStore::new(nonzeros),
            blocks,
            names: Names::new(names),
        }
    }
}

impl Ids {
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(v) => v.len(),
            Self::Wide(v) | Self::AsRead { keys: v, .. } => v.len(),
            Self::Local { ids, .. } => ids.len(),
        }
    }

    fn highest(&self) -> u64 {
        match self {
            Self::Narrow(v) => v.iter().max().map_or(0, |&i| i as u64),
            Self::Wide(v) | Self::AsRead { keys: v, .. } => v.iter().max().copied().unwrap_or(0),
            Self::Local { keys, .. } => keys.iter().max().copied().unwrap_or(0),
        }
    }

    fn for_each(&self, mut f: impl FnMut(u64)) {
        match self {
            Self::Narrow(v) => v.iter().for_each(|&i| f(i as u64)),
            Self::Wide(v) | Self::AsRead { keys: v, .. } => v.iter().for_each(|&i| f(i)),
            Self::Local { keys, .. } => keys.iter().for_each(|&i| f(i)),
        }
    }
}

/// From id to rank among the distinct ids.
enum Rank {
    /// A bit for each seen id, and the number of seen ids below each word.
    Bits { words: Vec<u64>, below: Vec<u32> },
    /// Numbers of the table, and the rank of each.
    Table { table: Table, ranks: Vec<u32> },
    /// Ids are numbers of a table already: the rank of each.
    Numbers { ranks: Vec<u32> },
}

impl Rank {
    /// `id` must have been seen.
    #[inline]
    fn of(&self, id: u64) -> u32 {
        match self {
            Self::Bits { words, below } => {
                let word = (id >> 6) as usize;
                below[word] + (words[word] & ((1 << (id & 63)) - 1)).count_ones()
            }
            Self::Table { table, ranks } => ranks[table.get(id) as usize] - 1,
            Self::Numbers { ranks } => ranks[id as usize] - 1,
        }
    }
}

fn seen(chunks: &[Ragged], highest: u64, threads: usize) -> (Vec<u64>, Rank) {
    let words: Vec<AtomicU64> = (0..=highest >> 6).map(|_| AtomicU64::new(0)).collect();
    par::map(threads, chunks.iter().collect(), |c| {
        c.ids.for_each(|id| {
            let (word, bit) = (&words[(id >> 6) as usize], 1 << (id & 63));
            // Most ids have been seen: looking first keeps the line shared among threads.
            if word.load(Relaxed) & bit == 0 {
                word.fetch_or(bit, Relaxed);
            }
        });
    });
    let words: Vec<u64> = words.into_iter().map(AtomicU64::into_inner).collect();
    let (mut keys, mut below) = (Vec::new(), Vec::with_capacity(words.len()));
    for (i, &word) in words.iter().enumerate() {
        below.push(keys.len() as u32);
        let mut bits = word;
        while bits != 0 {
            keys.push((i as u64) << 6 | bits.trailing_zeros() as u64);
            bits &= bits - 1;
        }
    }
    (keys, Rank::Bits { words, below })
}

fn tabled(chunks: &[Ragged]) -> (Vec<u64>, Rank) {
    let mut table = Table::new();
    for c in chunks {
        c.ids.for_each(|id| {
            table.number(id);
        });
    }
    let (keys, ranks) = table.ranks();
    (keys, Rank::Table { table, ranks })
}
