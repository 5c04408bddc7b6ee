//! `Parcel`: a message as frames see it - a kind, a head of bytes, perhaps keys, perhaps values.

use crate::values::Values;
use handcar_base::KeyList;

/// Bytes a head may have; server functions may answer with as much.
pub const HEAD_BYTES_MAX: usize = 256 << 20;
/// Of these what the message itself may need, here and on its way down a chain: positions, a task for each worker.
pub const HEAD_ROOM: usize = 1 << 20;
/// Memory that the keys and values of one message may take: 2^29 keys with two integers each are 12 GiB. Zeros travel for
/// almost nothing, so without a bound a few kilobytes could ask for all memory there is.
pub const BULK_BYTES_MAX: u64 = 16 << 30;
/// Numbers of one key; more is a mistake.
pub const WIDTH_MAX: usize = 1 << 12;

/// A message ready to be cut into frames, or joined from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parcel {
    /// The kind of message.
    pub kind: u8,
    /// The task it belongs to.
    pub task: u64,
    /// Small fields, laid out by the kind.
    pub head: Vec<u8>,
    /// Keys, if it carries any list.
    pub keys: Option<KeyList>,
    /// Values, if it carries any.
    pub values: Option<Values>,
    /// Numbers a key, at least 1; values are narrowed column by column.
    pub width: usize,
}

impl Parcel {
    /// Checks what the other side would refuse, since then the connection would end and nobody knew why.
    ///
    /// # Errors
    /// What was expected and got.
    pub fn check(&self) -> Result<(), (String, String)> {
        if self.head.len() > HEAD_BYTES_MAX {
            let expected = format!("at most {HEAD_BYTES_MAX} bytes of arguments, entries or coded values in a message");
            return Err((expected, self.head.len().to_string()));
        }
        let values = self.values.as_ref().map_or(0, |v| v.len() as u64 * v.dtype().bytes() as u64);
        let bulk = 8 * self.keys.as_ref().map_or(0, |k| k.len() as u64) + values;
        if bulk > BULK_BYTES_MAX {
            let expected = format!("at most {BULK_BYTES_MAX} bytes of keys and values in a message");
            return Err((expected, bulk.to_string()));
        }
        Ok(())
    }
}

/// Writes small fields.
#[derive(Debug, Default)]
pub struct Fields(pub Vec<u8>);

impl Fields {
    /// Appends a byte.
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }

    /// Appends 4 bytes.
    pub fn u32(&mut self, v: u32) -> &mut Self {
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }

    /// Appends 8 bytes.
    pub fn u64(&mut self, v: u64) -> &mut Self {
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }

    /// Appends 16 bytes.
    pub fn u128(&mut self, v: u128) -> &mut Self {
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }

    /// Appends bytes with their length.
    pub fn bytes(&mut self, v: &[u8]) -> &mut Self {
        self.u32(v.len() as u32);
        self.0.extend_from_slice(v);
        self
    }
}

/// Reads small fields; every read says what it expected.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (a, b) = self.0.split_at_checked(n).ok_or_else(|| format!("{n} more bytes, got {}", self.0.len()))?;
        self.0 = b;
        Ok(a)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut a = [0; N];
        a.copy_from_slice(self.take(N)?);
        Ok(a)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    /// 4 bytes.
    pub fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// 8 bytes.
    pub fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// 16 bytes.
    pub fn u128(&mut self) -> Result<u128, String> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// Bytes with their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], String> {
        let n = self.u32()? as usize;
        self.take(n)
    }

    /// Text with its length.
    pub fn text(&mut self) -> Result<String, String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.into()).map_err(|_| "text in UTF-8, got other bytes".into())
    }

    /// Nothing more may follow.
    pub fn end(&self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("the end of the message, got {} more bytes", self.0.len())) }
    }
}
