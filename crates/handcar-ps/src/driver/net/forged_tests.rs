//! Claims about frames with right checksums that no honest sender makes: each is refused, and none takes memory that its
//! sender did not pay for.

use super::codec::{pack_request, unpack_reply, unpack_request};
use super::control;
use super::frame::{BODY_BYTES_MAX, Part};
use super::inbox::{Filled, Inbox, TRUSTED_BYTES, room_of};
use super::parcel::{BULK_BYTES_MAX, Fields, Parcel, WIDTH_MAX};
use super::wire_tests::{Pipe, forged, keys};
use crate::carried::{Carried, Form};
use crate::error::Error;
use crate::filter::Rows;
use crate::message::{Ask, Keys, Request, TableId, Task};
use crate::values::Values;
use proptest::prelude::*;

/// What keys and values may take on a peer's word alone, and the buffer that frames are read into.
const TRUSTED_ROOM: usize = 2 * TRUSTED_BYTES + 3 * BODY_BYTES_MAX;
/// What a frame may add: a vector may have twice the room it needs.
const FRAME_ROOM: usize = 2 * BODY_BYTES_MAX;

const MOVE: u8 = 17;
const I64: u8 = 3;

/// The first frame of a message.
fn first(keys: u64, dtype: u8, values: u64, width: u32) -> Vec<u8> {
    let mut f = Fields::default();
    f.u64(keys).u8(dtype).u64(values).u32(width);
    f.0
}

/// A body of so many rows whose columns have these sizes.
fn block(count: u32, sizes: &[u8], numbers: &[u8]) -> Vec<u8> {
    let mut f = Fields::default();
    f.u32(count).0.extend_from_slice(sizes);
    f.0.extend_from_slice(numbers);
    f.0
}

/// What comes of bytes, and the most memory that it took.
fn receive(bytes: Vec<u8>) -> (Result<Vec<Parcel>, Error>, usize) {
    let mut pipe = Pipe::of(bytes);
    let mut inbox = Inbox::new("a test".into());
    inbox.admit("a test".into());
    let (mut parcels, mut most) = (Vec::new(), 0);
    loop {
        let filled = inbox.fill(&mut pipe).unwrap();
        loop {
            let next = inbox.next(&mut |_, _, dtype| Values::empty(dtype));
            most = most.max(inbox.room_bytes());
            match next {
                Ok(Some(p)) => {
                    // A list of keys has no more room than it needs and values.
                    most = most.max(p.values.as_ref().map_or(0, room_of) + p.keys.as_ref().map_or(0, |k| 8 * k.len()));
                    parcels.push(p);
                }
                Ok(None) => break,
                Err(e) => return (Err(e), most),
            }
        }
        if filled == Filled::Closed {
            return (Ok(parcels), most);
        }
    }
}

fn refused(frames: &[Vec<u8>]) -> String {
    let (got, room) = receive(frames.concat());
    assert!(room <= TRUSTED_ROOM + frames.len() * FRAME_ROOM, "{room} bytes were taken");
    got.unwrap_err().to_string()
}

#[test]
fn a_small_frame_takes_no_large_memory() {
    // 4 KiB that would say: 32768 rows of 4096 zeros, 1 GiB.
    let rows = (BODY_BYTES_MAX / 8) as u32;
    let values = u64::from(rows) * WIDTH_MAX as u64;
    let text = refused(&[
        forged(MOVE, Part::Head, true, &first(u64::MAX, I64, values, WIDTH_MAX as u32)),
        forged(MOVE, Part::Values, false, &block(rows, &[0; WIDTH_MAX], &[])),
    ]);
    assert!(text.contains("at most 32768 numbers in a frame, got 32768 × 4096"), "{text}");
}

#[test]
fn keys_that_repeat_are_refused_in_their_frame() {
    // More keys are due: the list is not whole, and its order would not be looked at yet.
    let mut body = 7u64.to_le_bytes().to_vec();
    body.extend(block(30_000, &[0], &[]));
    let text =
        refused(&[forged(MOVE, Part::Head, true, &first(1 << 28, 0, 0, 1)), forged(MOVE, Part::Keys, false, &body)]);
    assert!(text.contains("expected keys each above the one before"), "{text}");
}

#[test]
fn a_wrong_key_order_is_refused_with_its_place() {
    let piece = |key: u64| {
        let mut body = key.to_le_bytes().to_vec();
        body.extend(block(1, &[1], &[5]));
        forged(MOVE, Part::Keys, false, &body)
    };
    let head = forged(MOVE, Part::Head, true, &first(4, 0, 0, 1));
    let text = refused(&[head.clone(), piece(10), piece(15)]);
    let told = "wire: from a test: expected sorted keys, got ";
    assert!(text.starts_with(told) && text.contains("15"), "{text}");
    // A step past the last key comes out below the first.
    let text = refused(&[head, piece(10), piece(u64::MAX)]);
    assert!(text.starts_with(told) && text.contains("18446744073709551615"), "{text}");
}

#[test]
fn a_message_beyond_the_bound_is_refused_at_its_first_frame() {
    let numbers = BULK_BYTES_MAX / 8;
    let text = refused(&[forged(MOVE, Part::Head, true, &first(1, I64, numbers, 1))]);
    let told = format!("at most {BULK_BYTES_MAX} bytes of keys and values in a message, got {}", BULK_BYTES_MAX + 8);
    assert!(text.contains(&told), "{text}");
}

#[test]
fn a_name_of_keys_nobody_sent_takes_no_memory() {
    let rows = Rows::from_fn(3, |i| i != 1);
    let keys = Keys::Named { signature: keys(3, 5).signature(), len: 3 };
    let push = Some(Carried::Part { rows, values: vec![1i64; 2].into() });
    let ask = Ask::Move { keys, round: None, args: vec![], push, pull: None, form: Form::Plain, tag: None };
    let (task, table, answered) = (Task(9), TableId(2), Task(4));
    let (parcel, _) = pack_request(Request { task, table, epoch: 3, within: None, answered, deadline_ms: 77, ask });
    let mask = |longest| match unpack_request(parcel.clone(), longest, Values::empty).unwrap().ask {
        Ask::Move { push: Some(Carried::Part { rows, values }), .. } => (rows.len(), values.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(mask(3), (3, 2));
    // Whoever names it is asked for the list, and sends the push again.
    assert_eq!(mask(2), (0, 2));
}

proptest! {
    #[test]
    fn forged_frames_neither_panic_nor_take_memory(
        frames in prop::collection::vec((0u8..40, 0u8..3, any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 1..5),
        keys in prop::sample::select(vec![0u64, 1, 5, u32::MAX as u64, u64::MAX]),
        dtype in 0u8..5, rows in prop::sample::select(vec![0u64, 2, 1 << 17, 1 << 20, 1 << 31, u64::MAX]),
        width in prop::sample::select(vec![0u32, 1, 2, 7, 64, 4095, 4096, 4097]),
        zeros in prop::option::of(prop::sample::select(vec![0u32, 1, 8, 512, 4096, 32_767, 32_768, u32::MAX])),
    ) {
        let kind = frames[0].0;
        let mut bytes = forged(kind, Part::Head, true, &first(keys, dtype, rows.saturating_mul(width.into()), width));
        // Blocks of zeros are what takes the most for the least.
        if let Some(count) = zeros {
            let body = block(count, &vec![0; width as usize], &[]);
            bytes.extend(forged(kind, Part::Values, false, &body));
            bytes.extend(forged(kind, Part::Values, false, &body));
        }
        for (_, part, ends, body) in &frames {
            let part = [Part::Head, Part::Keys, Part::Values][*part as usize];
            bytes.extend(forged(kind, part, *ends, body));
        }
        let (got, room) = receive(bytes);
        prop_assert!(room <= TRUSTED_ROOM + (3 + frames.len()) * FRAME_ROOM, "{} bytes were taken", room);
        for p in got.unwrap_or_default() {
            let _ = unpack_request(p.clone(), 0, Values::empty);
            let _ = unpack_reply(p.clone());
            let _ = control::unpack(&p);
        }
    }
}
