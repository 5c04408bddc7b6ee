//! `Inbox`: bytes read from a connection, checked and joined into parcels.

use super::frame::{BODY_BYTES_MAX, HEADER_BYTES, Header, Part, crc};
use super::narrow;
use super::parcel::{BULK_BYTES_MAX, HEAD_BYTES_MAX, Parcel, Reader, WIDTH_MAX};
use crate::error::Error;
use crate::values::{Dtype, Values};
use handcar_base::{Key, KeyList};
use std::io::{self, Read};
use std::ops::RangeInclusive;

/// A fresh connection reads into this much; it grows when a larger frame is announced.
const BUFFER_BYTES: usize = 16 << 10;
/// Memory taken on a peer's word alone; beyond it memory grows with what really arrives.
pub(super) const TRUSTED_BYTES: usize = 64 << 20;

/// Finds a buffer for a message's values: `(kind, task, dtype)`.
pub type Buffers<'a> = &'a mut dyn FnMut(u8, u64, Dtype) -> Values;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Some bytes, and perhaps more are waiting.
    More,
    /// Nothing is left to read for now.
    Drained,
    /// The peer closed its side.
    Closed,
}

#[derive(Debug)]
struct Joining {
    parcel: Parcel,
    head_ended: bool,
    keys: Option<Vec<Key>>,
    keys_due: usize,
    values_due: usize,
}

/// The reading half of a connection.
#[derive(Debug)]
pub struct Inbox {
    from: String,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    joining: Option<Joining>,
    /// Bytes a head may have.
    head_bytes_max: usize,
    /// Whether keys and values may come at all.
    bulk: bool,
    bytes: u64,
}

impl Inbox {
    /// For a peer called `from` who has not said who it is: only small messages are taken.
    pub fn new(from: String) -> Self {
        let buffer = vec![0; BUFFER_BYTES];
        Self { from, buffer, begin: 0, end: 0, joining: None, head_bytes_max: 4096, bulk: false, bytes: 0 }
    }

    /// The peer said who it is: large messages are taken from now on.
    pub fn admit(&mut self, from: String) {
        self.from = from;
        self.head_bytes_max = HEAD_BYTES_MAX;
        self.bulk = true;
    }

    /// The peer's name.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Bytes of memory taken for what was read and for the message being joined.
    #[cfg(test)]
    pub fn room_bytes(&self) -> usize {
        let joining = self.joining.as_ref();
        let keys = joining.and_then(|j| j.keys.as_ref()).map_or(0, |k| 8 * k.capacity());
        let joined = joining.map_or(0, |j| j.parcel.head.capacity() + j.parcel.values.as_ref().map_or(0, room_of));
        self.buffer.capacity() + keys + joined
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads once.
    ///
    /// # Errors
    /// The reader's, except "would block".
    pub fn fill(&mut self, reader: &mut impl Read) -> io::Result<Filled> {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        loop {
            match reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(Filled::Closed),
                Ok(n) => {
                    self.end += n;
                    self.bytes += n as u64;
                    // A short read has emptied the socket.
                    return Ok(if self.end == self.buffer.len() { Filled::More } else { Filled::Drained });
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Filled::Drained),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The next whole parcel among the bytes read.
    ///
    /// # Errors
    /// [`Error::Wire`] at the first byte that cannot be right; the connection is then of no more use.
    pub fn next(&mut self, buffers: Buffers<'_>) -> Result<Option<Parcel>, Error> {
        loop {
            let unread = &self.buffer[self.begin..self.end];
            let Some(header) = unread.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
            let header = Header::decode(header, &self.from)?;
            let frame_bytes = HEADER_BYTES + header.body_bytes as usize;
            if !self.bulk && header.body_bytes as usize > self.head_bytes_max {
                let expected = format!("at most {} bytes before a greeting", self.head_bytes_max);
                return Err(self.wire(expected, header.body_bytes.to_string()));
            }
            if unread.len() < frame_bytes {
                if frame_bytes > self.buffer.len() {
                    // Room for two of the largest frames, so that reads are long.
                    self.buffer.resize(2 * (BODY_BYTES_MAX + HEADER_BYTES), 0);
                }
                if self.begin + frame_bytes > self.buffer.len() {
                    self.buffer.copy_within(self.begin..self.end, 0);
                    (self.begin, self.end) = (0, self.end - self.begin);
                }
                return Ok(None);
            }
            let body = self.begin + HEADER_BYTES..self.begin + frame_bytes;
            self.begin += frame_bytes;
            let check = crc(&self.buffer[body.clone()]);
            if check != header.body_crc {
                return Err(self.wire(format!("body checksum {check:08x}"), format!("{:08x}", header.body_crc)));
            }
            let mut joining = self.joining.take();
            let joined = join(&mut joining, header, &self.buffer[body], self.head_bytes_max, self.bulk, &mut *buffers);
            self.joining = joining;
            match joined {
                Ok(true) => {
                    if let Some(j) = self.joining.take() {
                        return self.complete(j).map(Some);
                    }
                }
                Ok(false) => {}
                Err(expected) => {
                    let got = format!("another frame of kind {} part {:?}", header.kind, header.part);
                    return Err(self.wire(expected, got));
                }
            }
        }
    }

    fn complete(&self, joining: Joining) -> Result<Parcel, Error> {
        let mut parcel = joining.parcel;
        if let Some(keys) = joining.keys {
            let list = KeyList::new(keys).map_err(|e| self.wire("sorted keys", e.to_string()))?;
            parcel.keys = Some(list);
        }
        Ok(parcel)
    }

    fn wire(&self, expected: impl Into<String>, got: impl Into<String>) -> Error {
        Error::Wire { from: self.from.clone(), expected: expected.into(), got: got.into() }
    }
}

/// Adds a frame; `true` when the parcel is whole.
fn join(
    slot: &mut Option<Joining>,
    header: Header,
    body: &[u8],
    head_bytes_max: usize,
    bulk: bool,
    buffers: Buffers<'_>,
) -> Result<bool, String> {
    let j = match slot {
        Some(j) if (j.parcel.kind, j.parcel.task) != (header.kind, header.task) => {
            return Err(format!("more of kind {} task {}", j.parcel.kind, j.parcel.task));
        }
        Some(j) => j,
        None if header.part != Part::Head => return Err("the head of a message first".into()),
        None => {
            let j = slot.insert(begin(header, body, bulk, buffers)?);
            return Ok(j.whole());
        }
    };
    match header.part {
        Part::Head if !j.head_ended => {
            if j.parcel.head.len() + body.len() > head_bytes_max {
                return Err(format!("at most {head_bytes_max} bytes of head"));
            }
            j.parcel.head.extend_from_slice(body);
            j.head_ended = header.head_ends;
        }
        Part::Keys if j.head_ended && j.keys_due > 0 => {
            let mut r = Reader(body);
            let mut key = r.u64()?;
            let mut steps = Vec::new();
            take_block(r.0, 1, 0..=j.keys_due - 1, &mut steps)?;
            // Steps of 0 would travel for nothing: a few bytes could ask for any number of keys.
            if steps.contains(&0) {
                return Err("keys each above the one before".into());
            }
            let keys = j.keys.get_or_insert_default();
            keys.push(key);
            // Wild steps break the order, which is checked when the list is whole.
            keys.extend(steps.iter().map(|&step| {
                key = key.wrapping_add(step as u64);
                key
            }));
            j.keys_due -= 1 + steps.len();
        }
        Part::Values if j.head_ended && j.keys_due == 0 && j.values_due > 0 => {
            let due = j.values_due;
            let width = j.parcel.width;
            let taken = match &mut j.parcel.values {
                Some(Values::F32(v)) => {
                    let (numbers, []) = body.as_chunks::<4>() else { return Err("whole f32 numbers".into()) };
                    v.extend(numbers.iter().map(|b| f32::from_le_bytes(*b)).take(due));
                    numbers.len()
                }
                Some(Values::F64(v)) => {
                    let (numbers, []) = body.as_chunks::<8>() else { return Err("whole f64 numbers".into()) };
                    v.extend(numbers.iter().map(|b| f64::from_le_bytes(*b)).take(due));
                    numbers.len()
                }
                Some(Values::I64(v)) => {
                    let before = v.len();
                    take_block(body, width, 1..=due / width, v)?;
                    v.len() - before
                }
                None => 0,
            };
            if taken == 0 || taken > due {
                return Err(format!("1 to {due} numbers"));
            }
            j.values_due -= taken;
        }
        _ => return Err("the next part of the message".into()),
    }
    Ok(j.whole())
}

impl Joining {
    fn whole(&self) -> bool {
        self.head_ended && self.keys_due == 0 && self.values_due == 0
    }
}

fn begin(header: Header, body: &[u8], bulk: bool, buffers: Buffers<'_>) -> Result<Joining, String> {
    let mut r = Reader(body);
    let (keys, dtype, values, width) = (r.u64()?, r.u8()?, r.u64()?, r.u32()? as usize);
    let dtype = match dtype {
        0 => None,
        1 => Some(Dtype::F32),
        2 => Some(Dtype::F64),
        3 => Some(Dtype::I64),
        other => return Err(format!("a type of values in 0..=3, got {other}")),
    };
    let keys = (keys != u64::MAX).then_some(keys);
    let numbers_max = (u32::MAX as u64).saturating_mul(width as u64);
    if keys.is_some_and(|k| k > u32::MAX as u64) || values > numbers_max || !(1..=WIDTH_MAX).contains(&width) {
        return Err(format!("at most 2^32 keys of 1 to {WIDTH_MAX} numbers"));
    }
    let bulk_bytes = values.saturating_mul(dtype.map_or(0, |d| d.bytes() as u64)).saturating_add(8 * keys.unwrap_or(0));
    if bulk_bytes > BULK_BYTES_MAX {
        return Err(format!("at most {BULK_BYTES_MAX} bytes of keys and values in a message, got {bulk_bytes}"));
    }
    if values % width as u64 != 0 || (dtype.is_none() && values > 0) {
        return Err(format!("values in whole rows of {width}"));
    }
    if !bulk && (keys.is_some() || dtype.is_some()) {
        return Err("no keys or values before a greeting".into());
    }
    let values_room = (values as usize).min(TRUSTED_BYTES / 8);
    let mut found = dtype.map(|d| buffers(header.kind, header.task, d));
    match &mut found {
        Some(Values::F32(v)) => empty_with_room(v, values_room),
        Some(Values::F64(v)) => empty_with_room(v, values_room),
        Some(Values::I64(v)) => empty_with_room(v, values_room),
        None => {}
    }
    if found.as_ref().map(Values::dtype) != dtype {
        found = dtype.map(Values::empty);
    }
    let head = r.0.to_vec();
    let parcel = Parcel { kind: header.kind, task: header.task, head, keys: None, values: found, width };
    let keys_due = keys.unwrap_or(0) as usize;
    let list = keys.map(|k| {
        // Keys lie in the memory of integers that nobody needs any more.
        let spare = match buffers(header.kind, header.task, Dtype::I64) {
            Values::I64(spare) => spare,
            _ => Vec::new(),
        };
        let mut list: Vec<Key> = bytemuck::cast_vec(spare);
        empty_with_room(&mut list, (k as usize).min(TRUSTED_BYTES / 8));
        list
    });
    Ok(Joining { parcel, head_ended: header.head_ends, keys: list, keys_due, values_due: values as usize })
}

#[cfg(test)]
pub(super) fn room_of(values: &Values) -> usize {
    match values {
        Values::F32(v) => 4 * v.capacity(),
        Values::F64(v) => 8 * v.capacity(),
        Values::I64(v) => 8 * v.capacity(),
    }
}

fn empty_with_room<T>(v: &mut Vec<T>, room: usize) {
    v.clear();
    v.reserve(room);
}

fn take_block(body: &[u8], width: usize, rows: RangeInclusive<usize>, out: &mut Vec<i64>) -> Result<(), String> {
    let mut r = Reader(body);
    let count = r.u32()? as usize;
    // A column of zeros takes no bytes: without the second bound a few bytes could ask for any memory. Honest senders cut
    // blocks that would fit a frame even if every number took all its bytes.
    if !rows.contains(&count) || count.saturating_mul(width) > BODY_BYTES_MAX / 8 {
        return Err(format!("{rows:?} rows, at most {} numbers in a frame, got {count} × {width}", BODY_BYTES_MAX / 8));
    }
    narrow::take_rows(r.0, count, width, out)
}
