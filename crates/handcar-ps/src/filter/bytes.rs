//! Reading and writing the small parts of an encoded message.

use super::error::FilterError;

/// Bytes not read yet. Every read checks the length first: the bytes may come from anybody.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if there are fewer.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], FilterError> {
        let Some((head, rest)) = self.0.split_at_checked(n) else {
            return Err(FilterError::unfit(format!("{n} more bytes"), self.0.len().to_string()));
        };
        self.0 = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], FilterError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// The next byte.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn u8(&mut self) -> Result<u8, FilterError> {
        Ok(self.array::<1>()?[0])
    }

    /// The next number written by [`put_varint`].
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if it does not end or exceeds 64 bits.
    pub fn varint(&mut self) -> Result<u64, FilterError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(FilterError::unfit("a number of at most 64 bits", "a longer one"))
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// [`FilterError::Unfit`] if bytes are left.
    pub fn end(&self) -> Result<(), FilterError> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(FilterError::unfit("no further bytes", format!("{} more", self.0.len())))
    }
}

/// Appends a number, 7 bits a byte, the lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_endless_ones_are_refused() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut r = Reader(&out);
            assert_eq!((r.varint(), r.end()), (Ok(value), Ok(())));
        }
        assert!(Reader(&[255; 12]).varint().is_err());
        assert!(Reader(&[255; 3]).varint().is_err());
        assert!(Reader(&[1]).end().is_err());
    }
}
