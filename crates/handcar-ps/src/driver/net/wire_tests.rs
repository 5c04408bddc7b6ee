//! Claims about the way of a parcel: cut, written, read, joined; and about bytes that are no parcel.

use super::codec::{pack_reply, pack_request, unpack_reply, unpack_request};
use super::frame::{BODY_BYTES_MAX, HEADER_BYTES, Header, Part, crc};
use super::inbox::{Filled, Inbox};
use super::outbox::Outbox;
use super::parcel::Parcel;
use crate::carried::{Carried, Coded, Form};
use crate::entries::Entries;
use crate::error::Error;
use crate::filter::{Rows, TableFilters};
use crate::message::{Answer, Ask, Keys, Note, ReduceOp, Reply, Request, TableId, Task};
use crate::portion::{Given, Portion, Tag};
use crate::shard::Shape;
use crate::values::{Dtype, Values};
use handcar_base::{KeyList, KeyRange, RangeSet, Rng, Seed};
use proptest::prelude::*;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// A socket that takes and gives a few bytes at a time and often says "not now".
pub(super) struct Pipe {
    bytes: Vec<u8>,
    read: usize,
    piece_max: usize,
    rng: Rng,
}

impl Pipe {
    pub fn new(piece_max: usize, seed: u64) -> Self {
        Self { bytes: Vec::new(), read: 0, piece_max, rng: Rng::new(Seed(seed), 0) }
    }

    /// One that holds bytes already.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::new(1 << 20, 1) }
    }

    fn piece(&mut self, most: usize) -> io::Result<usize> {
        if self.rng.below(4) == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(most.min(1 + self.rng.below(self.piece_max as u64) as usize))
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.piece(buf.len())?;
        self.bytes.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.read == self.bytes.len() {
            return Ok(0);
        }
        let n = self.piece(buf.len().min(self.bytes.len() - self.read))?;
        buf[..n].copy_from_slice(&self.bytes[self.read..self.read + n]);
        self.read += n;
        Ok(n)
    }
}

fn write(parcels: &[Parcel], pipe: &mut Pipe) {
    let (mut outbox, mut done) = (Outbox::default(), Vec::new());
    parcels.iter().for_each(|p| outbox.push(p.clone()));
    while !outbox.flush(pipe, &mut done).unwrap() {}
    assert_eq!(done, parcels);
    assert_eq!((outbox.bytes() as usize, outbox.queued_bytes()), (pipe.bytes.len(), 0));
}

fn read(pipe: &mut Pipe) -> Result<Vec<Parcel>, Error> {
    let mut inbox = Inbox::new("a test".into());
    inbox.admit("a test".into());
    let mut parcels = Vec::new();
    loop {
        let filled = inbox.fill(pipe).unwrap();
        while let Some(p) = inbox.next(&mut |_, _, dtype| Values::empty(dtype))? {
            parcels.push(p);
        }
        if filled == Filled::Closed {
            return Ok(parcels);
        }
    }
}

pub(super) fn keys(n: usize, step: u64) -> KeyList {
    KeyList::new((0..n as u64).map(|i| i * step).collect()).unwrap()
}

fn samples() -> Vec<Parcel> {
    let plain = Parcel { kind: 33, task: 5, width: 1, ..Parcel::default() };
    let many = 3 * BODY_BYTES_MAX / 8 + 17;
    let ints: Vec<i64> = (0..2 * many as i64).map(|i| if i % 2 == 0 { -i } else { i << 30 }).collect();
    vec![
        plain.clone(),
        Parcel { head: vec![7; 3 * BODY_BYTES_MAX], ..plain.clone() },
        Parcel { keys: Some(keys(0, 1)), values: Some(Values::empty(Dtype::I64)), ..plain.clone() },
        Parcel { keys: Some(keys(1, 1)), values: Some(vec![1.5f32].into()), ..plain.clone() },
        Parcel { values: Some((0..many).map(|i| i as f32).collect::<Vec<_>>().into()), ..plain.clone() },
        Parcel { keys: Some(keys(many, u64::MAX / many as u64)), values: Some(ints.into()), width: 2, ..plain.clone() },
        Parcel { values: Some((0..many).map(|i| i as f64).collect::<Vec<_>>().into()), ..plain.clone() },
        Parcel { keys: Some(keys(many, 3)), values: Some(vec![0i64; many].into()), ..plain.clone() },
        plain,
    ]
}

#[test]
fn parcels_come_back_whatever_the_socket_does() {
    for (piece_max, seed) in [(1 << 30, 1), (100_000, 2), (5000, 3)] {
        let mut pipe = Pipe::new(piece_max, seed);
        write(&samples(), &mut pipe);
        assert!(read(&mut pipe).unwrap() == samples(), "pieces of {piece_max}");
    }
    let mut pipe = Pipe::new(3, 4);
    write(&samples()[2..4], &mut pipe);
    assert_eq!(read(&mut pipe).unwrap(), samples()[2..4]);
}

#[test]
fn cached_zeros_cost_almost_nothing_and_keys_are_narrow() {
    let bytes = |p: Parcel| {
        let mut pipe = Pipe::new(1 << 30, 1);
        write(&[p], &mut pipe);
        pipe.bytes.len()
    };
    let plain = Parcel { kind: 17, width: 1, ..Parcel::default() };
    assert!(bytes(Parcel { values: Some(vec![0i64; 100_000].into()), ..plain.clone() }) < 400);
    assert!(bytes(Parcel { keys: Some(keys(100_000, 97)), ..plain.clone() }) < 101_000);
    assert!(bytes(Parcel { values: Some(vec![-3i64; 100_000].into()), ..plain }) < 101_000);
}

fn requests() -> Vec<Request> {
    let within: RangeSet = [KeyRange::new(5, 9), KeyRange::new(u64::MAX, 1 << 64)].into_iter().collect();
    let ask = |ask| Request {
        task: Task(9),
        table: TableId(2),
        epoch: 3,
        within: Some(Arc::new(within.clone())),
        answered: Task(4),
        deadline_ms: 77,
        ask,
    };
    let tag = Some(Tag { portion: Portion { pass: 9, index: 8 }, number: 7 });
    let moving =
        |keys, round, push| ask(Ask::Move { keys, round, args: vec![1], push, pull: None, form: Form::Coded, tag });
    let rows = Rows::from_fn(3, |i| i != 1);
    let few = rows.count();
    let list = keys(3, 5);
    let named = Keys::Named { signature: list.signature(), len: 3 };
    vec![
        ask(Ask::Create {
            name: "w".into(),
            updater: "sum.f32".into(),
            params: vec![1, 2],
            filters: TableFilters::parse("zero,zstd:1", "lz4").unwrap(),
        }),
        ask(Ask::Call { round: 3, args: vec![4; 9] }),
        ask(Ask::Portion { pass: 5, portions: 64, finished: Some(3) }),
        ask(Ask::Portion { pass: 5, portions: 64, finished: None }),
        ask(Ask::Copy { entries: true }),
        ask(Ask::Install { entries: Arc::new(entries()) }),
        ask(Ask::Reduce { round: 8, op: ReduceOp::Max, words: vec![1, -1, i64::MIN] }),
        moving(Keys::Sent(list.clone()), None, None),
        moving(named, Some(4), Some(Carried::Plain(vec![1i64; 6].into()))),
        moving(Keys::Sent(list.clone()), Some(5), Some(coded())),
        moving(Keys::Sent(list), None, Some(Carried::Part { rows, values: vec![1i64; 2 * few].into() })),
    ]
}

fn coded() -> Carried {
    Carried::Coded(Coded { number: 9, bytes: Arc::new(vec![7; 40_000]) })
}

fn replies() -> Vec<Reply> {
    let shape = Shape { push: Dtype::I64, push_width: 2, pull: Dtype::F32, pull_width: 1 };
    let moved = Answer::Moved {
        pulled: Some(Carried::Plain(vec![1.0f64, 2.0].into())),
        spent: None,
        notes: vec![
            Note { within: None, bytes: vec![3] },
            Note { within: Some(Arc::new(RangeSet::all())), bytes: vec![] },
        ],
    };
    let called = Answer::Called(vec![Note { within: None, bytes: vec![9; 300_000] }]);
    let miss = Answer::Miss { push: None, pull: None };
    let late = Answer::Late { missing: vec![1, 5] };
    let coded = Answer::Moved { pulled: Some(coded()), spent: None, notes: vec![] };
    [
        Answer::Created(shape),
        moved,
        coded,
        Answer::Behind,
        called,
        Answer::Reduced(vec![-7]),
        Answer::Copied { count: 7, entries: entries() },
        Answer::Copied { count: 8, entries: Entries::default() },
        Answer::Installed,
        Answer::Given(Given::Over),
        Answer::Given(Given::Portion(7)),
        Answer::Given(Given::Later { busy: vec![1, 4] }),
        miss,
        Answer::Refused("no".into()),
        late,
    ]
    .map(|answer| Reply { task: Task(1), epoch: 8, answer })
    .into()
}

#[test]
fn messages_come_back() {
    let mut pipe = Pipe::new(1 << 30, 1);
    let mut parcels: Vec<Parcel> = requests().into_iter().map(|r| pack_request(r).0).collect();
    parcels.extend(replies().into_iter().map(|r| pack_reply(r).0));
    write(&parcels, &mut pipe);
    let mut back = read(&mut pipe).unwrap();
    let answers = back.split_off(requests().len());
    let got: Vec<Request> = back.into_iter().map(|p| unpack_request(p, 3, Values::empty).unwrap()).collect();
    assert_eq!(got, requests());
    let got: Vec<Reply> = answers.into_iter().map(|p| unpack_reply(p).unwrap()).collect();
    assert_eq!(got, replies());
}

#[test]
fn every_cut_short_message_is_refused() {
    for r in requests() {
        let p = pack_request(r).0;
        for n in 0..p.head.len() {
            assert!(unpack_request(Parcel { head: p.head[..n].into(), ..p.clone() }, 3, Values::empty).is_err());
        }
    }
    for r in replies().into_iter().filter(|r| !matches!(r.answer, Answer::Called(_) | Answer::Miss { .. })) {
        let p = pack_reply(r).0;
        for n in 0..p.head.len() {
            assert!(unpack_reply(Parcel { head: p.head[..n].into(), ..p.clone() }).is_err());
        }
    }
}

/// A frame with a right checksum around any body: what a hostile peer can make.
pub(super) fn forged(kind: u8, part: Part, head_ends: bool, body: &[u8]) -> Vec<u8> {
    let (body_bytes, body_crc) = (body.len() as u32, crc(body));
    let header = Header { kind, part, head_ends, epoch: 0, body_bytes, task: 0, body_crc };
    let mut frame = header.encode().to_vec();
    frame.extend_from_slice(body);
    frame
}

proptest! {
    #[test]
    fn random_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 32..200)) {
        let mut pipe = Pipe::of(bytes);
        prop_assert!(read(&mut pipe).is_err());
    }

    #[test]
    fn mutated_streams_are_refused_or_unchanged(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>()) {
        let mut pipe = Pipe::new(1 << 30, 1);
        let parcels = [samples()[3].clone(), samples()[2].clone(), samples()[0].clone()];
        write(&parcels, &mut pipe);
        let i = at.index(pipe.bytes.len());
        pipe.bytes[i] ^= 1 << bit;
        prop_assert!(read(&mut pipe).is_err());
        pipe.bytes[i] ^= 1 << bit;
        pipe.bytes.truncate(cut.index(pipe.bytes.len()));
        pipe.read = 0;
        let got = read(&mut pipe).unwrap();
        prop_assert_eq!(&got[..], &parcels[..got.len()]);
    }
}

#[test]
fn strangers_may_not_send_bulk() {
    let mut inbox = Inbox::new("a stranger".into());
    let mut pipe = Pipe::new(1 << 30, 9);
    write(&samples()[3..4], &mut pipe);
    while inbox.fill(&mut pipe).unwrap() != Filled::Closed {}
    let text = inbox.next(&mut |_, _, dtype| Values::empty(dtype)).unwrap_err().to_string();
    assert!(text.contains("no keys or values before a greeting"), "{text}");
    let mut inbox = Inbox::new("a stranger".into());
    pipe = Pipe::new(1 << 30, 9);
    pipe.bytes = forged(1, Part::Head, true, &[0; 5000])[..HEADER_BYTES].to_vec();
    while inbox.fill(&mut pipe).unwrap() != Filled::Closed {}
    let text = inbox.next(&mut |_, _, dtype| Values::empty(dtype)).unwrap_err().to_string();
    assert!(text.contains("at most 4096 bytes before a greeting, got 5000"), "{text}");
}

fn entries() -> Entries {
    let keys = KeyList::new(vec![3, 9, 1 << 60]).unwrap();
    Entries::of(keys, |n, out| out.extend_from_slice(&[5; 4][..n]))
}
