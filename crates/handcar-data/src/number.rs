//! Number parsers for the hot loops: each reads from the front of a slice and says how many bytes it took.

/// Powers of ten that f64 holds exactly.
const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// An unsigned integer of at most 18 digits. `None` without digits or with more.
#[inline]
pub(crate) fn digits(text: &[u8]) -> Option<(u64, usize)> {
    let (mut value, mut n) = (0u64, 0);
    for &c in text {
        let d = c.wrapping_sub(b'0');
        if d > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(d as u64);
        n += 1;
    }
    (1..=18).contains(&n).then_some((value, n))
}

/// One to seven digits before the byte `end`, without a branch on how many: lengths vary at random, and each wrong guess of a
/// loop's end costs more than all of this. `None`: anything else, also what is valid but longer.
#[inline]
pub(crate) fn digits_before(text: [u8; 8], end: u8) -> Option<(u32, usize)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let x = u64::from_le_bytes(text);
    // The lowest byte that a subtraction borrows from is the first that is zero, here: the first end.
    let y = x ^ (end as u64 * ONES);
    let ends = y.wrapping_sub(ONES) & !y & HIGH;
    let bits = ends.trailing_zeros() & !7;
    if ends == 0 || bits == 0 {
        return None;
    }
    // Eight digits with zeros in front, the last in the highest byte; then tens and ones, hundreds, ten thousands meet.
    let n = (x << (64 - bits) | (0x30 * ONES) >> bits) ^ (0x30 * ONES);
    if (n.wrapping_add(0x76 * ONES) | n) & HIGH != 0 {
        return None;
    }
    let n = n.wrapping_mul(10 * 256 + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let n = n.wrapping_mul(100 * 65_536 + 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some((n.wrapping_mul((10_000 << 32) + 1).wrapping_shr(32) as u32, bits as usize / 8))
}

/// A whole cell as a signed integer.
#[inline]
pub(crate) fn integer(cell: &[u8]) -> Option<i64> {
    let (negative, rest) = match cell.first() {
        Some(b'-') => (true, &cell[1..]),
        Some(b'+') => (false, &cell[1..]),
        _ => (false, cell),
    };
    let (v, n) = digits(rest)?;
    (n == rest.len()).then_some(if negative { -(v as i64) } else { v as i64 })
}

/// A whole cell as a real number, correctly rounded. `inf` and `nan` parse; callers refuse them.
#[inline]
pub(crate) fn real(cell: &[u8]) -> Option<f64> {
    match simple(cell) {
        Some(x) => Some(x),
        None => std::str::from_utf8(cell).ok()?.parse().ok(),
    }
}

/// A whole cell as f32, correctly rounded. `inf` and `nan` parse; callers refuse them.
#[inline]
pub(crate) fn real32(cell: &[u8]) -> Option<f32> {
    match simple(cell) {
        // Half way between two f32 the first rounding may mislead the second: those rare cells take the slow way, as do
        // subnormal results, whose half-way points lie elsewhere.
        Some(x) if x.to_bits() & 0x1fff_ffff != 0x1000_0000 && (x == 0.0 || x.abs() > 1e-37) => Some(x as f32),
        _ => std::str::from_utf8(cell).ok()?.parse().ok(),
    }
}

/// Plain decimals whose digits and power of ten are exact in f64, so that one operation rounds once.
#[inline]
fn simple(cell: &[u8]) -> Option<f64> {
    let (negative, mut i) = match cell.first()? {
        b'-' => (true, 1),
        b'+' => (false, 1),
        _ => (false, 0),
    };
    let (mut mantissa, mut digits, mut scale) = (0u64, 0usize, 0i32);
    let mut point = false;
    while let Some(&c) = cell.get(i) {
        let d = c.wrapping_sub(b'0');
        if d <= 9 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(d as u64);
            digits += 1;
            scale -= point as i32;
        } else if c == b'.' && !point {
            point = true;
        } else {
            break;
        }
        i += 1;
    }
    if let Some(b'e' | b'E') = cell.get(i) {
        let e = integer(&cell[i + 1..])?;
        scale = scale.checked_add(i32::try_from(e).ok()?)?;
        i = cell.len();
    }
    if i != cell.len() || digits == 0 || digits > 18 || mantissa >= 1 << 53 {
        return None;
    }
    let x = match scale {
        0 => mantissa as f64,
        -22..=-1 => mantissa as f64 / EXACT[-scale as usize],
        1..=22 => mantissa as f64 * EXACT[scale as usize],
        _ => return None,
    };
    Some(if negative { -x } else { x })
}

/// Eight hexadecimal digits at once; `None` if any of them is none.
#[inline]
pub(crate) fn hex8(text: [u8; 8]) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let x = u64::from_le_bytes(text);
    let high = 0x80 * ONES;
    if x & high != 0 {
        return None;
    }
    // A sum carries into bit 7 of its byte from the named character on. Bytes stay apart as bit 7 of `x` is clear.
    let digit = (x + 0x50 * ONES) & !(x + 0x46 * ONES); // from '0', not from ':'
    let lower = x | (0x20 * ONES);
    let letter = (lower + 0x1f * ONES) & !(lower + 0x19 * ONES); // from 'a', not from 'g'
    if (digit | letter) & high != high {
        return None;
    }
    let nibbles = (x & (0x0f * ONES)) + 9 * ((x >> 6) & ONES);
    let bytes = (nibbles << 4 | nibbles >> 8) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    Some(((pairs | pairs >> 16) as u32).swap_bytes())
}

/// A whole cell of one to eight hexadecimal digits.
pub(crate) fn hex(cell: &[u8]) -> Option<u32> {
    if cell.is_empty() || cell.len() > 8 {
        return None;
    }
    let mut padded = [b'0'; 8];
    padded[8 - cell.len()..].copy_from_slice(cell);
    hex8(padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reals_equal_the_standard_library(x: f64, f: f32, places in 0usize..9) {
            for text in [format!("{x}"), format!("{x:e}"), format!("{f}"), format!("{f:.places$}"), format!("{f:.places$e}")] {
                prop_assert_eq!(real(text.as_bytes()).unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits());
                prop_assert_eq!(real32(text.as_bytes()).unwrap().to_bits(), text.parse::<f32>().unwrap().to_bits(), "{}", text);
            }
        }

        #[test]
        fn integers_and_hex_round_trip(i in -999_999_999_999_999_999i64..=999_999_999_999_999_999, h: u32) {
            prop_assert_eq!(integer(i.to_string().as_bytes()), Some(i));
            prop_assert_eq!(hex(format!("{h:x}").as_bytes()), Some(h));
            prop_assert_eq!(hex(format!("{h:08X}").as_bytes()), Some(h));
        }

        #[test]
        fn digits_before_a_tab_equal_the_loop(text in "[0-9]{0,8}\t?[0-9a:/ \t]{0,8}", junk: [u8; 8]) {
            for bytes in [text.as_bytes(), &junk[..]] {
                let mut eight = [b'x'; 8];
                let len = bytes.len().min(8);
                eight[..len].copy_from_slice(&bytes[..len]);
                let slow = digits(&eight).filter(|&(_, n)| n < 8 && eight[n] == b'\t').map(|(v, n)| (v as u32, n));
                prop_assert_eq!(digits_before(eight, b'\t'), slow);
            }
        }

        #[test]
        fn hex8_accepts_exactly_hexadecimal_digits(text: [u8; 8]) {
            let expected = std::str::from_utf8(&text).ok().filter(|s| s.bytes().all(|c| c.is_ascii_hexdigit()));
            prop_assert_eq!(hex8(text), expected.map(|s| u32::from_str_radix(s, 16).unwrap()));
        }
    }

    #[test]
    fn every_byte_is_judged_by_hex8() {
        for c in 0..=255u8 {
            let text = [b'0', b'a', b'F', c, b'9', b'0', b'0', b'1'];
            assert_eq!(hex8(text).is_some(), c.is_ascii_hexdigit(), "{c:#x}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["", "-", "+", ".", "1x", "--1", "1e", "0x10", "1_000", " 1"] {
            assert_eq!(real(bad.as_bytes()), None, "{bad:?}");
            assert_eq!(integer(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(integer(b"12345678901234567890"), None);
        assert!(real(b"nan").unwrap().is_nan() && real32(b"inf").unwrap().is_infinite());
    }
}
