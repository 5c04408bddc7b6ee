//! Lossless narrowing of integers: each column takes the least whole number of bytes that holds all its values.

/// Appends one column of a row-major block as `bytes` little-endian bytes a value.
fn put_column(values: impl ExactSizeIterator<Item = i64>, bytes: usize, out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + bytes * values.len(), 0);
    let to = &mut out[begin..];
    // Fixed sizes, so that a column of neighbours becomes vector code.
    match bytes {
        0 => {}
        1 => to.iter_mut().zip(values).for_each(|(b, v)| *b = v as u8),
        2 => to.as_chunks_mut::<2>().0.iter_mut().zip(values).for_each(|(b, v)| *b = (v as i16).to_le_bytes()),
        4 => to.as_chunks_mut::<4>().0.iter_mut().zip(values).for_each(|(b, v)| *b = (v as i32).to_le_bytes()),
        8 => to.as_chunks_mut::<8>().0.iter_mut().zip(values).for_each(|(b, v)| *b = v.to_le_bytes()),
        n => to.chunks_exact_mut(n).zip(values).for_each(|(b, v)| b.copy_from_slice(&v.to_le_bytes()[..n])),
    }
}

/// Reads one column into a row-major block.
fn take_column<'a>(bytes: &[u8], size: usize, to: impl Iterator<Item = &'a mut i64>) {
    match size {
        1 => to.zip(bytes).for_each(|(v, &b)| *v = b as i8 as i64),
        2 => to.zip(bytes.as_chunks::<2>().0).for_each(|(v, &b)| *v = i16::from_le_bytes(b) as i64),
        4 => to.zip(bytes.as_chunks::<4>().0).for_each(|(v, &b)| *v = i32::from_le_bytes(b) as i64),
        8 => to.zip(bytes.as_chunks::<8>().0).for_each(|(v, &b)| *v = i64::from_le_bytes(b)),
        _ => to.zip(bytes.chunks_exact(size)).for_each(|(v, b)| {
            let mut wide = [0; 8];
            wide[8 - size..].copy_from_slice(b);
            *v = i64::from_le_bytes(wide) >> (64 - 8 * size);
        }),
    }
}

/// Bytes that hold every value whose magnitude bits (sign folded away) were joined into `bits`.
fn bytes_for(bits: u64) -> usize {
    if bits == 0 { 0 } else { (65 - bits.leading_zeros() as usize).div_ceil(8) }
}

/// Appends rows of `width` integers: `width` bytes that give each column's bytes, then column after column.
pub fn put_rows(rows: &[i64], width: usize, out: &mut Vec<u8>) {
    let mut bits = vec![0u64; width];
    for row in rows.chunks_exact(width) {
        for (b, &v) in bits.iter_mut().zip(row) {
            // All zero bits for 0 only: -1 must count as a value.
            *b |= (v ^ (v >> 63)) as u64 | (v != 0) as u64;
        }
    }
    out.extend(bits.iter().map(|&b| bytes_for(b) as u8));
    if let [b] = bits[..] {
        return put_column(rows.iter().copied(), bytes_for(b), out);
    }
    for (column, &b) in bits.iter().enumerate() {
        put_column(rows[column.min(rows.len())..].iter().step_by(width).copied(), bytes_for(b), out);
    }
}

/// Appends `count` rows of `width` integers read from exactly `bytes` to `out`.
///
/// # Errors
/// What was expected, if the bytes are not `count` rows.
pub fn take_rows(bytes: &[u8], count: usize, width: usize, out: &mut Vec<i64>) -> Result<(), String> {
    let (sizes, mut rest) =
        bytes.split_at_checked(width).ok_or_else(|| format!("{width} column sizes, got {} bytes", bytes.len()))?;
    let row: usize = sizes.iter().map(|&s| s as usize).sum();
    if sizes.iter().any(|&s| s > 8) || rest.len() != row * count {
        return Err(format!("{count} rows of columns of at most 8 bytes, got {} bytes of {sizes:?}", rest.len()));
    }
    let begin = out.len();
    out.resize(begin + count * width, 0);
    let rows = &mut out[begin..];
    for (column, &size) in sizes.iter().enumerate() {
        let size = size as usize;
        if size == 0 {
            continue;
        }
        let (bytes, after) = rest.split_at(size * count);
        rest = after;
        match width {
            1 => take_column(bytes, size, rows.iter_mut()),
            _ => take_column(bytes, size, rows[column.min(count * width)..].iter_mut().step_by(width)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_integer_comes_back(
            values in prop::collection::vec((any::<i64>(), 0u32..64), 0..60), width in 1usize..4,
        ) {
            let mut rows: Vec<i64> = values.iter().map(|(v, s)| v >> s).collect();
            rows.truncate(rows.len() / width * width);
            let mut bytes = Vec::new();
            put_rows(&rows, width, &mut bytes);
            let mut back = vec![42];
            take_rows(&bytes, rows.len() / width, width, &mut back).unwrap();
            prop_assert_eq!(&back[1..], &rows[..]);
        }

        #[test]
        fn hostile_bytes_are_refused_or_read(
            bytes in prop::collection::vec(any::<u8>(), 0..40), count in 0usize..20, width in 1usize..4,
        ) {
            let _ = take_rows(&bytes, count, width, &mut Vec::new());
        }
    }

    #[test]
    fn columns_take_the_least_bytes() {
        for (v, bytes) in
            [(0, 0), (-1, 1), (127, 1), (-128, 1), (128, 2), (-32768, 2), (1 << 23, 4), (-(1 << 23), 3), (i64::MIN, 8)]
        {
            let mut out = Vec::new();
            put_rows(&[v, 0], 2, &mut out);
            assert_eq!((out[0], out[1], out.len()), (bytes, 0, 2 + bytes as usize), "{v}");
        }
    }
}
