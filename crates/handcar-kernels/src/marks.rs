//! Where certain bytes stand in a text.

use crate::{Kernel, run};

/// Bytes looked at together.
const BLOCK: usize = 64;
/// Multiplied by eight bytes of 0 or 1, has those as the bits of its highest byte.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// Puts the positions of every byte of `text` that is one of `of` into `out`, ascending, in place of what was there.
///
/// Words end at random places: to look for each end in turn would wait for the one before, and guess wrongly where it stops.
///
/// # Panics
/// With 4 GiB of text or more.
///
/// ```
/// let mut at = Vec::new();
/// handcar_kernels::marks::positions(b"1 |a x:2", *b" |:", &mut at);
/// assert_eq!(at, [1, 2, 4, 6]);
/// ```
pub fn positions<const N: usize>(text: &[u8], of: [u8; N], out: &mut Vec<u32>) {
    assert!(text.len() < u32::MAX as usize, "less than 4 GiB of text");
    run(Positions { text, of, out });
}

struct Positions<'a, const N: usize> {
    text: &'a [u8],
    of: [u8; N],
    out: &'a mut Vec<u32>,
}

impl<const N: usize> Kernel for Positions<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { text, of, out } = self;
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let mut found = 0;
        for (i, block) in blocks.iter().enumerate() {
            put(marked(block, of), i * BLOCK, out, &mut found);
        }
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        let bits = marked(&last, of) & ((1 << rest.len()) - 1);
        put(bits, text.len() - rest.len(), out, &mut found);
        out.truncate(found);
    }
}

/// A bit for each byte that is one of `of`.
#[inline(always)]
fn marked<const N: usize>(block: &[u8; BLOCK], of: [u8; N]) -> u64 {
    let mut hits = [0u8; BLOCK];
    for (hit, &byte) in hits.iter_mut().zip(block) {
        for mark in of {
            *hit |= (byte == mark) as u8;
        }
    }
    let (eights, _) = hits.as_chunks::<8>();
    let mut bits = 0;
    for (i, eight) in eights.iter().enumerate() {
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56) << (8 * i);
    }
    bits
}

/// Adds the positions of set bits. Eight are written whether there are as many or not, as to ask would be to guess.
#[inline(always)]
fn put(mut bits: u64, begin: usize, out: &mut Vec<u32>, found: &mut usize) {
    if out.len() < *found + BLOCK {
        out.resize(2 * (*found + BLOCK), 0);
    }
    let (n, to) = (bits.count_ones() as usize, &mut out[*found..*found + BLOCK]);
    for eight in to.chunks_exact_mut(8) {
        for position in eight {
            *position = begin as u32 + bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
        }
        if bits == 0 {
            break;
        }
    }
    *found += n;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, run_on};

    #[test]
    fn positions_are_those_of_the_plain_search() {
        let mut seed = 1u64;
        let mut out = vec![7; 1000];
        for (len, letters) in [(0, 1), (1, 1), (63, 4), (64, 1), (65, 200), (1000, 6), (4096, 1), (5000, 40)] {
            let mut byte = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((seed >> 33) % letters) as u8
            };
            let text: Vec<u8> = (0..len).map(|_| byte()).collect();
            for of in [[0, 1, 5], [9, 9, 3], [255, 255, 255]] {
                let want: Vec<u32> = (0..len as u32).filter(|&i| of.contains(&text[i as usize])).collect();
                for isa in [Isa::Baseline, Isa::Avx2, Isa::Avx512] {
                    run_on(isa, Positions { text: &text, of, out: &mut out });
                    assert_eq!(out, want, "{len} {letters}");
                }
            }
        }
    }
}
