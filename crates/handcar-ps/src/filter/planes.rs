//! Numbers as bytes: little-endian, one after the other or plane by plane.

use super::error::FilterError;
use crate::values::{Dtype, Values};

/// Appends the numbers in little-endian order.
pub fn put(values: &Values, out: &mut Vec<u8>) {
    if cfg!(target_endian = "little") {
        out.extend_from_slice(match values {
            Values::F32(v) => bytemuck::cast_slice(v),
            Values::F64(v) => bytemuck::cast_slice(v),
            Values::I64(v) => bytemuck::cast_slice(v),
        });
        return;
    }
    match values {
        Values::F32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::F64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::I64(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
}

/// Reads exactly `len` numbers.
pub fn get(bytes: &[u8], dtype: Dtype, len: usize) -> Result<Values, FilterError> {
    if bytes.len() != len * dtype.bytes() {
        return Err(FilterError::unfit(
            format!("{} bytes ({len} {dtype})", len * dtype.bytes()),
            bytes.len().to_string(),
        ));
    }
    fn read<const N: usize, T>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|c| from(*c)).collect()
    }
    Ok(match dtype {
        Dtype::F32 => Values::F32(read(bytes, f32::from_le_bytes)),
        Dtype::F64 => Values::F64(read(bytes, f64::from_le_bytes)),
        Dtype::I64 => Values::I64(read(bytes, i64::from_le_bytes)),
    })
}

/// Puts byte 0 of every item first, then byte 1 and so on; items have `size` bytes. Bytes of equal meaning (signs and
/// exponents, say) thus become neighbours, which is what a compressor looks for. A rest shorter than an item stays last.
pub fn split(bytes: &[u8], size: usize) -> Vec<u8> {
    let items = bytes.len() / size.max(1);
    let mut out = Vec::with_capacity(bytes.len());
    for plane in 0..size {
        out.extend(bytes.iter().skip(plane).step_by(size).take(items));
    }
    out.extend_from_slice(&bytes[items * size..]);
    out
}

/// Undoes [`split`].
pub fn join(bytes: &[u8], size: usize) -> Vec<u8> {
    let items = bytes.len() / size.max(1);
    let mut out = vec![0; bytes.len()];
    for plane in 0..size {
        let from = &bytes[plane * items..][..items];
        for (to, &b) in out.iter_mut().skip(plane).step_by(size).zip(from) {
            *to = b;
        }
    }
    out[items * size..].copy_from_slice(&bytes[items * size..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn joining_undoes_splitting(bytes in prop::collection::vec(any::<u8>(), 0..100), size in 1usize..20) {
            prop_assert_eq!(join(&split(&bytes, size), size), bytes);
        }
    }

    #[test]
    fn numbers_come_back_bit_by_bit() {
        for values in [
            Values::F32(vec![1.5, -0.0, f32::NAN, f32::INFINITY]),
            Values::F64(vec![1e-300, f64::NEG_INFINITY]),
            Values::I64(vec![i64::MIN, -1, i64::MAX]),
        ] {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            put(&values, &mut a);
            put(&get(&a, values.dtype(), values.len()).unwrap(), &mut b);
            assert_eq!(a, b);
            assert!(get(&a[1..], values.dtype(), values.len()).is_err());
        }
    }

    #[test]
    fn planes_hold_bytes_of_equal_meaning() {
        assert_eq!(split(&[1, 2, 3, 4, 5, 6, 7], 3), [1, 4, 2, 5, 3, 6, 7]);
    }
}
