//! The order of a row by key.

use super::rows::Entry;

/// The order of a row by key. Equal keys stay in the order of the text, which the sum and the name then do not leave to chance.
pub(super) fn sort_by_key(row: &[Entry<'_>], packed: &mut Vec<u64>, order: &mut Vec<u32>) {
    packed.clear();
    order.clear();
    let first = row.first().map_or(0, |e| e.key);
    let mut differ = 0;
    packed.extend((0..).zip(row).map(|(i, e)| {
        differ |= e.key ^ first;
        e.key << 8 | i
    }));
    // Keys of one namespace begin alike: what they begin with makes room for the place, so that plain numbers are sorted.
    if differ >> 56 == 0 && row.len() <= 256 {
        packed.sort_unstable();
        order.extend(packed.iter().map(|&k| (k & 255) as u32));
    } else {
        order.extend(0..row.len() as u32);
        order.sort_unstable_by_key(|&i| (row[i as usize].key, i));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_namespace_and_of_several_are_sorted_alike() {
        let (mut packed, mut order) = (Vec::new(), Vec::new());
        for len in [0usize, 1, 2, 39, 256, 257, 1000] {
            for spaces in [1u64, 2, 300] {
                let key = |i: u64| (i % spaces) << 52 | (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58);
                let row: Vec<Entry<'_>> =
                    (0..len as u64).map(|i| Entry { key: key(i), value: 1.0, space: b"", name: b"x" }).collect();
                sort_by_key(&row, &mut packed, &mut order);
                let mut want: Vec<u32> = (0..len as u32).collect();
                want.sort_by_key(|&i| row[i as usize].key);
                assert_eq!(order, want, "{len} {spaces}");
            }
        }
    }
}
