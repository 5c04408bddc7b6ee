//! The frame: what every byte on a connection belongs to.
//!
//! ```text
//! 0  magic "hc"      4  kind      8  epoch u32        16 task u64       28 CRC-32C of bytes 0..28
//! 2  version u16     5  part      12 body bytes u32   24 CRC-32C of the body
//!                    6  flags
//! ```
//! Little-endian. A message is one or more head frames, then its keys, then its values. Bodies are at most
//! [`BODY_BYTES_MAX`], small enough that checking and decoding one finds it in the second-level cache.

use crate::error::Error;

/// Version of the wire format; both ends must agree.
pub const VERSION: u16 = 2;
/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;
/// 256 KiB: half of a common second-level cache, and 128 frames for a million f32.
pub const BODY_BYTES_MAX: usize = 256 << 10;

const MAGIC: [u8; 2] = *b"hc";

/// Which part of a message a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Fixed fields and small variable ones.
    Head,
    /// Keys.
    Keys,
    /// Values.
    Values,
}

/// A checked header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind of message, see [`codec`](super::codec) and [`control`](super::control).
    pub kind: u8,
    /// The part.
    pub part: Part,
    /// Whether this frame ends the message's head.
    pub head_ends: bool,
    /// The view of the cluster the sender lives in; fences old owners once there are several views.
    pub epoch: u32,
    /// Bytes of the body that follows.
    pub body_bytes: u32,
    /// The task the message belongs to.
    pub task: u64,
    /// Checksum of the body.
    pub body_crc: u32,
}

/// CRC-32C of bytes.
pub fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

impl Header {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut b = [0; HEADER_BYTES];
        b[0..2].copy_from_slice(&MAGIC);
        b[2..4].copy_from_slice(&VERSION.to_le_bytes());
        b[4] = self.kind;
        b[5] = self.part as u8;
        b[6] = self.head_ends as u8;
        b[8..12].copy_from_slice(&self.epoch.to_le_bytes());
        b[12..16].copy_from_slice(&self.body_bytes.to_le_bytes());
        b[16..24].copy_from_slice(&self.task.to_le_bytes());
        b[24..28].copy_from_slice(&self.body_crc.to_le_bytes());
        let check = crc(&b[..28]);
        b[28..].copy_from_slice(&check.to_le_bytes());
        b
    }

    /// Checks and reads a header from a peer called `from`.
    ///
    /// # Errors
    /// [`Error::Wire`] names the first field that is wrong; nothing was allocated.
    pub fn decode(b: &[u8; HEADER_BYTES], from: &str) -> Result<Self, Error> {
        let wire = |expected: String, got: String| Err(Error::Wire { from: from.into(), expected, got });
        let u16_at = |i: usize| u16::from_le_bytes([b[i], b[i + 1]]);
        let u32_at = |i: usize| u32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        if b[0..2] != MAGIC {
            return wire("a handcar frame (\"hc\")".into(), format!("bytes {:02x} {:02x}", b[0], b[1]));
        }
        // Before the checksum: another version may place it elsewhere.
        if u16_at(2) != VERSION {
            return wire(format!("wire version {VERSION}"), format!("version {}", u16_at(2)));
        }
        let check = crc(&b[..28]);
        if u32_at(28) != check {
            return wire(format!("header checksum {check:08x}"), format!("{:08x}", u32_at(28)));
        }
        let part = match b[5] {
            0 => Part::Head,
            1 => Part::Keys,
            2 => Part::Values,
            other => return wire("part 0, 1 or 2".into(), other.to_string()),
        };
        if b[6] > 1 || b[7] != 0 {
            return wire("known flags".into(), format!("flags {:02x} {:02x}", b[6], b[7]));
        }
        let body_bytes = u32_at(12);
        if body_bytes as usize > BODY_BYTES_MAX {
            return wire(format!("at most {BODY_BYTES_MAX} bytes in a frame"), body_bytes.to_string());
        }
        let task = u64::from_le_bytes([b[16], b[17], b[18], b[19], b[20], b[21], b[22], b[23]]);
        let (kind, head_ends, epoch, body_crc) = (b[4], b[6] == 1, u32_at(8), u32_at(24));
        Ok(Self { kind, part, head_ends, epoch, body_bytes, task, body_crc })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { kind: 17, part: Part::Values, head_ends: true, epoch: 3, body_bytes: 99, task: 1 << 40, body_crc: 7 }
    }

    #[test]
    fn a_header_comes_back() {
        assert_eq!(Header::decode(&header().encode(), "x"), Ok(header()));
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes, "x").is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = header().encode();
        bytes[2] = 9;
        let text = Header::decode(&bytes, "worker 3").unwrap_err().to_string();
        assert_eq!(text, "wire: from worker 3: expected wire version 2, got version 9");
    }
}
