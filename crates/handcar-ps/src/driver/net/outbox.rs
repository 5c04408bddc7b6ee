//! `Outbox`: parcels cut into frames and written without blocking.

use super::frame::{BODY_BYTES_MAX, HEADER_BYTES, Header, Part, crc};
use super::narrow;
use super::parcel::{Fields, Parcel};
use crate::values::{Dtype, Values};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::ops::Range;

/// Bodies up to this size are copied behind their header: one longer buffer beats one more slice.
const COPY_BYTES_MAX: usize = 16 << 10;
/// Frames are gathered up to this size before a write.
const GATHER_BYTES: usize = 64 << 10;

/// What of the first parcel was cut already.
#[derive(Debug, Default)]
struct Cut {
    prefixed: bool,
    head: usize,
    keys: usize,
    values: usize,
}

/// The writing half of a connection.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Parcel>,
    cut: Cut,
    /// Frames (or a lone header) to write next, from `written`.
    gathered: Vec<u8>,
    written: usize,
    /// Bytes of the first parcel's values to write after `gathered`, straight from their memory.
    direct: Range<usize>,
    queued_bytes: usize,
    bytes: u64,
    /// Differences of keys; kept for its memory.
    steps: Vec<i64>,
}

fn raw(values: &Values) -> &[u8] {
    match values {
        Values::F32(v) => bytemuck::cast_slice(v),
        Values::F64(v) => bytemuck::cast_slice(v),
        Values::I64(v) => bytemuck::cast_slice(v),
    }
}

fn size(p: &Parcel) -> usize {
    let values = p.values.as_ref().map_or(0, |v| if v.dtype() == Dtype::F32 { 4 * v.len() } else { 8 * v.len() });
    p.head.len() + p.keys.as_ref().map_or(0, |k| 8 * k.len()) + values + HEADER_BYTES
}

impl Outbox {
    /// Queues a parcel.
    pub fn push(&mut self, parcel: Parcel) {
        self.queued_bytes += size(&parcel);
        self.queue.push_back(parcel);
    }

    /// Takes everything back that was not written whole: the connection is of no more use.
    pub fn take_back(&mut self) -> Vec<Parcel> {
        self.gathered.clear();
        (self.written, self.direct, self.queued_bytes) = (0, 0..0, 0);
        self.cut = Cut::default();
        self.queue.drain(..).collect()
    }

    /// Bytes waiting, about.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Bytes waiting behind the parcel that is being written, about.
    pub fn behind_bytes(&self) -> usize {
        self.queued_bytes - self.queue.front().map_or(0, size)
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes until done (`true`) or the writer would block (`false`). Parcels written whole go to `done`, so that
    /// their buffers can be used again.
    ///
    /// # Errors
    /// The writer's.
    pub fn flush(&mut self, to: &mut impl Write, done: &mut Vec<Parcel>) -> io::Result<bool> {
        loop {
            if self.written == self.gathered.len() && self.direct.is_empty() {
                self.gathered.clear();
                (self.written, self.direct) = (0, 0..0);
                self.gather(done);
                if self.gathered.is_empty() {
                    return Ok(true);
                }
            }
            let empty = Values::F32(Vec::new());
            let values = self.queue.front().and_then(|p| p.values.as_ref()).unwrap_or(&empty);
            let direct = &raw(values)[self.direct.clone()];
            let slices = [IoSlice::new(&self.gathered[self.written..]), IoSlice::new(direct)];
            let n = match to.write_vectored(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.bytes += n as u64;
            let first = n.min(self.gathered.len() - self.written);
            self.written += first;
            self.direct.start += n - first;
        }
    }

    /// Cuts frames into `gathered` until there is enough to write or a body is better written from where it lies.
    fn gather(&mut self, done: &mut Vec<Parcel>) {
        while self.gathered.len() < GATHER_BYTES && self.direct.is_empty() {
            let Some(p) = self.queue.front() else { return };
            let (cut, out) = (&mut self.cut, &mut self.gathered);
            let (keys, values) = (p.keys.as_ref().map_or(0, |k| k.len()), p.values.as_ref().map_or(0, Values::len));
            if !cut.prefixed {
                let mut prefix = Fields::default();
                prefix.u64(p.keys.as_ref().map_or(u64::MAX, |k| k.len() as u64));
                prefix.u8(p.values.as_ref().map_or(0, |v| 1 + v.dtype() as u8));
                prefix.u64(values as u64).u32(p.width.max(1) as u32);
                let end = p.head.len().min(BODY_BYTES_MAX - prefix.0.len());
                frame(p, Part::Head, end == p.head.len(), out, |body| {
                    body.extend_from_slice(&prefix.0);
                    body.extend_from_slice(&p.head[..end]);
                });
                (cut.prefixed, cut.head) = (true, end);
            } else if cut.head < p.head.len() {
                let end = p.head.len().min(cut.head + BODY_BYTES_MAX);
                let piece = &p.head[cut.head..end];
                frame(p, Part::Head, end == p.head.len(), out, |body| body.extend_from_slice(piece));
                cut.head = end;
            } else if let Some(list) = p.keys.as_ref().filter(|_| cut.keys < keys) {
                // Differences of sorted keys are small: they are narrowed like any integers.
                let end = keys.min(cut.keys + BODY_BYTES_MAX / 8 - 4);
                let piece = &list.keys()[cut.keys..end];
                let steps = &mut self.steps;
                steps.clear();
                steps.extend(piece.windows(2).map(|w| (w[1] - w[0]) as i64));
                frame(p, Part::Keys, false, out, |body| {
                    body.extend_from_slice(&piece[0].to_le_bytes());
                    put_block(steps, 1, body);
                });
                cut.keys = end;
            } else if let Some(v) = p.values.as_ref().filter(|_| cut.values < values) {
                match v {
                    Values::I64(v) => {
                        let rows = ((BODY_BYTES_MAX - 4) / (9 * p.width)).max(1);
                        let end = values.min(cut.values + rows * p.width);
                        let piece = &v[cut.values..end];
                        frame(p, Part::Values, false, out, |body| put_block(piece, p.width, body));
                        cut.values = end;
                    }
                    _ => {
                        let number = if v.dtype() == Dtype::F32 { 4 } else { 8 };
                        let end = values.min(cut.values + BODY_BYTES_MAX / number);
                        let range = cut.values * number..end * number;
                        let body = &raw(v)[range.clone()];
                        if body.len() <= COPY_BYTES_MAX {
                            frame(p, Part::Values, false, out, |to| to.extend_from_slice(body));
                        } else {
                            out.extend_from_slice(&header(p, Part::Values, false, body).encode());
                            self.direct = range;
                        }
                        cut.values = end;
                        // The parcel is popped only after its direct bytes are written, see the last branch.
                    }
                }
            } else if let Some(p) = self.queue.pop_front() {
                self.queued_bytes -= size(&p);
                self.cut = Cut::default();
                done.push(p);
            }
        }
    }
}

fn put_block(rows: &[i64], width: usize, body: &mut Vec<u8>) {
    body.extend_from_slice(&((rows.len() / width) as u32).to_le_bytes());
    narrow::put_rows(rows, width, body);
}

fn header(p: &Parcel, part: Part, head_ends: bool, body: &[u8]) -> Header {
    let (body_bytes, body_crc) = (body.len() as u32, crc(body));
    Header { kind: p.kind, part, head_ends, epoch: 0, body_bytes, task: p.task, body_crc }
}

fn frame(p: &Parcel, part: Part, head_ends: bool, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.resize(at + HEADER_BYTES, 0);
    body(out);
    let header = header(p, part, head_ends, &out[at + HEADER_BYTES..]).encode();
    out[at..at + HEADER_BYTES].copy_from_slice(&header);
}
