//! `Log`: states one after the other, each with its length and checksum, in bytes that may be torn at their end.
//!
//! ```text
//! "hclog\1\0\0", then records: length u64 · CRC-32C of the payload u32 · CRC-32C of these 12 bytes u32 · payload
//! ```

const MAGIC: &[u8; 8] = b"hclog\x01\0\0";
const HEADER_BYTES: usize = 16;
/// A state is far smaller; a longer record is damage.
const RECORD_BYTES_MAX: u64 = 1 << 30;

/// What was found in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered<'a> {
    /// The last whole record.
    pub last: Option<&'a [u8]>,
    /// Bytes up to the end of the last whole record: what follows was being written when its writer died.
    pub whole_bytes: usize,
}

/// The format of a log; the bytes are somebody else's.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Log {
    /// The first bytes of every log.
    pub fn begin() -> Vec<u8> {
        MAGIC.to_vec()
    }

    /// One record.
    pub fn record(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
        out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        out.extend_from_slice(&crc(payload).to_le_bytes());
        let check = crc(&out);
        out.extend_from_slice(&check.to_le_bytes());
        out.extend_from_slice(payload);
        out
    }

    /// Finds the last whole record. A record that is cut off or whose bytes are wrong at the very end was never
    /// acknowledged and is left out.
    ///
    /// # Errors
    /// What was expected, if the bytes are no log, or a record is damaged that others follow: then something that was
    /// acknowledged is lost, and nobody may go on as if it were not.
    pub fn recover(bytes: &[u8]) -> Result<Recovered<'_>, String> {
        if bytes.len() < MAGIC.len() {
            return Ok(Recovered { last: None, whole_bytes: 0 });
        }
        if &bytes[..MAGIC.len()] != MAGIC {
            return Err(format!("expected a log ({MAGIC:?}), got {:?}", &bytes[..MAGIC.len()]));
        }
        let mut found = Recovered { last: None, whole_bytes: MAGIC.len() };
        loop {
            let rest = &bytes[found.whole_bytes..];
            let Some(header) = rest.first_chunk::<HEADER_BYTES>() else { return Ok(found) };
            let length = u64::from_le_bytes([
                header[0], header[1], header[2], header[3], header[4], header[5], header[6], header[7],
            ]);
            let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
            if word(12) != crc(&header[..12]) || length > RECORD_BYTES_MAX {
                // A torn header: nothing can follow it, since records are written one at a time.
                return if rest.len() <= HEADER_BYTES || rest.iter().all(|&b| b == 0) {
                    Ok(found)
                } else {
                    Err(format!("expected a record at byte {}, got a damaged header", found.whole_bytes))
                };
            }
            let end = HEADER_BYTES + length as usize;
            let Some(payload) = rest.get(HEADER_BYTES..end) else { return Ok(found) };
            if crc(payload) != word(8) {
                return if rest.len() == end {
                    Ok(found)
                } else {
                    Err(format!("expected a whole record at byte {}, got a wrong checksum", found.whole_bytes))
                };
            }
            found = Recovered { last: Some(payload), whole_bytes: found.whole_bytes + end };
        }
    }
}

fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(records: &[&[u8]]) -> Vec<u8> {
        records.iter().fold(Log::begin(), |all, r| [all, Log::record(r)].concat())
    }

    #[test]
    fn a_cut_log_gives_the_last_whole_record() {
        let (one, two) = (log(&[b"one"]), log(&[b"one", b"two two"]));
        for cut in 0..two.len() {
            let found = Log::recover(&two[..cut]).unwrap();
            let want: Option<&[u8]> = if cut < one.len() { None } else { Some(b"one") };
            assert_eq!(found.last, want, "cut at {cut}");
        }
        assert_eq!(Log::recover(&two).unwrap(), Recovered { last: Some(b"two two"), whole_bytes: two.len() });
    }

    #[test]
    fn damage_before_the_end_is_an_error_and_never_an_older_state() {
        let bytes = log(&[b"one", b"two", b"three"]);
        let last = bytes.len() - Log::record(b"three").len();
        for at in 0..last {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Log::recover(&damaged).is_err(), "byte {at}");
        }
    }
}
