//! A click log drawn from a known model: `synth criteo`.
//!
//! Row `i` is a pure function of the seed and `i`, so any range of rows can be drawn by any number of threads, and rows
//! `[n, n+m)` of a seed are a fresh test set for a model trained on rows `[0, n)`: the planted weights depend on the seed
//! alone. Transcendental functions come from the `libm` crate (pure Rust, no fused contraction), so that the bytes are
//! equal on every machine.

use crate::bucket;
use handcar_base::{Rng, Seed};
use std::io::{self, Write};
use std::ops::Range;

/// Distinct values of each field: 13 integer columns, then 26 categories.
pub const CARDINALITIES: [u32; 39] = [
    60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 1400, 550, 2_000_000, 700_000, 300, 20, 12_000, 600, 3, 60_000,
    5_000, 1_500_000, 3_200, 26, 12_000, 1_000_000, 10, 5_000, 2_000, 4, 1_200_000, 18, 15, 60_000, 90, 40_000,
];

const INTEGERS: usize = 13;
const INTERCEPT: f64 = -1.3;
const WEIGHT_SHARE: f64 = 0.3;
const WEIGHT_SD: f64 = 0.35;
/// Streams below this belong to rows, the ones from here on to planted weights.
const WEIGHT_STREAM: u64 = 1 << 62;
/// Rows a thread draws at a time: about 1 MiB of text.
const CHUNK_ROWS: u64 = 4096;

/// The planted weight of value `id` of `field` (0-based): N(0, 0.35) with probability 0.3, else 0.
pub fn planted_weight(seed: Seed, field: usize, id: u32) -> f64 {
    let mut r = Rng::new(seed, WEIGHT_STREAM + ((field as u64) << 32) + id as u64);
    if r.uniform() >= WEIGHT_SHARE {
        return 0.0;
    }
    // Box and Muller; 1-u keeps the logarithm finite.
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - r.uniform()));
    WEIGHT_SD * radius * libm::cos(std::f64::consts::TAU * r.uniform())
}

/// Writes rows `rows` of the click log of `seed` in Criteo's TSV layout, drawn by `threads` threads.
///
/// Integer columns carry one integer per bucket of [`bucket::of_integer`], so that ids survive featurisation as distinct
/// values; categories are 8 hexadecimal digits, a bijective mix of the id.
///
/// # Errors
/// Whatever `out` returns.
pub fn synth_criteo(rows: Range<u64>, seed: Seed, threads: usize, out: &mut impl Write) -> io::Result<()> {
    let writer = RowWriter::new(seed);
    let threads = threads.max(1) as u64;
    let mut buffers = vec![Vec::new(); threads as usize];
    let mut begin = rows.start;
    while begin < rows.end {
        std::thread::scope(|s| {
            for (t, buffer) in buffers.iter_mut().enumerate() {
                let from = (begin + t as u64 * CHUNK_ROWS).min(rows.end);
                let part = from..(from + CHUNK_ROWS).min(rows.end);
                let writer = &writer;
                let work = move || {
                    buffer.clear();
                    part.for_each(|i| writer.row(i, buffer));
                };
                // One thread draws on its own thread: no need to start another.
                if threads == 1 { work() } else { drop(s.spawn(work)) }
            }
        });
        for buffer in &buffers {
            out.write_all(buffer)?;
        }
        begin = begin.saturating_add(threads * CHUNK_ROWS);
    }
    out.flush()
}

struct RowWriter {
    seed: Seed,
    log_cardinality: [f64; 39],
    integers: Vec<String>,
}

impl RowWriter {
    fn new(seed: Seed) -> Self {
        let integers = (0..60u64).map(|id| if id <= 2 { id } else { bucket::smallest_in(id as u32 - 2) });
        Self {
            seed,
            log_cardinality: CARDINALITIES.map(|c| libm::log(c as f64)),
            integers: integers.map(|v| v.to_string()).collect(),
        }
    }

    fn row(&self, i: u64, out: &mut Vec<u8>) {
        let mut r = Rng::new(self.seed, i);
        let mut logit = INTERCEPT;
        let mut ids = [0u32; 39];
        for (f, id) in ids.iter_mut().enumerate() {
            // floor(c^u) - 1 lies in 0 .. c-1; rounding up to c itself would still be a valid id.
            *id = libm::exp(r.uniform() * self.log_cardinality[f]) as u32 - 1;
            logit += planted_weight(self.seed, f, *id);
        }
        let click = r.uniform() < 1.0 / (1.0 + libm::exp(-logit));
        out.push(if click { b'1' } else { b'0' });
        for (f, &id) in ids.iter().enumerate() {
            out.push(b'\t');
            if f < INTEGERS {
                out.extend_from_slice(self.integers[id as usize].as_bytes());
            } else {
                out.extend_from_slice(&hex(category(f, id)));
            }
        }
        out.push(b'\n');
    }
}

/// Spreads ids over all 32 bits: a bijection (odd multiplications and xor-shifts), different in every field.
fn category(field: usize, id: u32) -> u32 {
    let mut x = id ^ (field as u32).wrapping_mul(0x9e37_79b9);
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

fn hex(x: u32) -> [u8; 8] {
    std::array::from_fn(|i| b"0123456789abcdef"[(x >> (28 - 4 * i)) as usize & 15])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(rows: Range<u64>, seed: u64, threads: usize) -> Vec<u8> {
        let mut out = Vec::new();
        synth_criteo(rows, Seed(seed), threads, &mut out).unwrap();
        out
    }

    #[test]
    fn bytes_never_change() {
        let text = draw(0..10_000, 7, 2);
        assert_eq!(handcar_base::hash::bytes(&text, 0), GOLDEN, "first row: {}", String::from_utf8_lossy(&text[..280]));
    }
    const GOLDEN: u64 = 5_514_055_370_846_196_580;

    #[test]
    fn any_split_and_thread_count_gives_equal_bytes() {
        let whole = draw(0..9_000, 3, 1);
        assert_eq!(whole, draw(0..9_000, 3, 2));
        assert_eq!(whole, [draw(0..4_097, 3, 3), draw(4_097..9_000, 3, 1)].concat());
    }

    #[test]
    fn rows_have_forty_columns_and_a_plausible_click_rate() {
        let text = String::from_utf8(draw(0..10_000, 1, 1)).unwrap();
        let clicks = text.lines().filter(|l| l.starts_with('1')).count();
        assert!(text.lines().all(|l| l.split('\t').count() == 40));
        assert!((1_500..4_500).contains(&clicks), "{clicks} clicks");
    }

    #[test]
    fn planted_weights_have_the_stated_distribution() {
        let w: Vec<f64> = (0..100_000).map(|id| planted_weight(Seed(5), 15, id)).collect();
        let planted: Vec<f64> = w.iter().copied().filter(|&x| x != 0.0).collect();
        let share = planted.len() as f64 / w.len() as f64;
        let sd = (planted.iter().map(|x| x * x).sum::<f64>() / planted.len() as f64).sqrt();
        assert!((share - 0.3).abs() < 0.01 && (sd - 0.35).abs() < 0.01, "{share} {sd}");
    }

    #[test]
    fn categories_of_a_field_are_distinct() {
        let mut seen: Vec<u32> = (0..60_000).map(|id| category(20, id)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 60_000);
    }
}
