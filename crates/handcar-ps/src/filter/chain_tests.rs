//! Claims about chains of filters as a whole.

use super::context::{Context, Direction};
use super::rows::Rows;
use super::testing::{DTYPES, cx, ends, list, pushes, values};
use crate::values::{Dtype, Values};
use handcar_base::{Rng, Seed};

const EXACT: [&str; 8] = [
    "",
    "key-cache",
    "zero",
    "lz4",
    "zstd:3",
    "key-cache,zero,kkt,lz4,zstd:1,lz4",
    "zero,zero,zstd",
    "significant:0,zero,lz4",
];
const LOSSY: [&str; 8] = [
    "fixed-point:1",
    "zero,fixed-point:2,zstd:1",
    "random-skip:0.5,zero,fixed-point:3,lz4",
    "countmin:1:0.01,zero:drop",
    "error-feedback:fixed-point:1,zstd",
    "significant:10,fixed-point:1,lz4",
    "error-feedback:countmin:2:0.01,fixed-point:4",
    "significant:5:copy,lz4",
];

#[test]
fn exact_chains_give_back_what_was_sent() {
    for spec in EXACT {
        for direction in [Direction::Push, Direction::Pull] {
            for dtype in DTYPES {
                for (keys, width) in [(0, 1), (1, 1), (7, 3), (500, 2), (3, 300)] {
                    let mut ends = ends(spec, direction, dtype, width);
                    let keys = list((0..keys).map(|k| k * 5));
                    for task in 1..4 {
                        let sent = values(dtype, keys.len() * width, task);
                        let mut got = values(dtype, keys.len() * width, task);
                        // Rows of zeros may be left out where zero rows add nothing.
                        let received = ends.send(task, &keys, sent.clone());
                        if spec.starts_with("significant") && direction == Direction::Push {
                            got = Values::zeros(dtype, got.len());
                        }
                        received.write_over(&mut got);
                        assert_eq!(got, sent, "{spec} {direction} {dtype} {} × {width}", keys.len());
                    }
                }
            }
        }
    }
}

#[test]
fn a_message_may_pass_by_the_filters_that_change_it() {
    for spec in LOSSY {
        let mut ends = pushes(spec, Dtype::F32, 2);
        let keys = list(0..200);
        ends.send(1, &keys, values(Dtype::F32, 400, 1));
        let held = ends.sender.holds();
        let sent = values(Dtype::F32, 400, 2);
        let cx = Context { exact: true, ..cx(2, Direction::Push) };
        let bytes = ends.sender.encode(&cx, &keys, sent.clone()).unwrap();
        let got = ends.receiver.decode(&cx, &keys, &bytes).unwrap();
        // `zero:drop` is left out as well.
        assert_eq!((got.rows, got.values), (Rows::all(200), sent), "{spec}");
        assert_eq!(ends.sender.holds(), held, "{spec}: what is held back stays");
        ends.send(3, &keys, values(Dtype::F32, 400, 3));
    }
}

#[test]
fn equal_inputs_give_equal_bytes_and_another_seed_others() {
    let keys = list(0..200);
    for spec in LOSSY {
        let run = |seed| {
            let mut ends = pushes(spec, Dtype::F32, 2);
            let tasks = (1..5).map(|task| {
                let cx = Context { seed: Seed(seed), ..cx(task, Direction::Push) };
                ends.sender.encode(&cx, &keys, values(Dtype::F32, 400, task)).unwrap()
            });
            tasks.collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1), "{spec}");
        if spec.contains("fixed-point:1") || spec.contains("random") {
            assert_ne!(run(1), run(2), "{spec}");
        }
    }
}

/// Decodes bytes that somebody tampered with: the result does not matter, that it comes does.
#[test]
fn hostile_bytes_neither_panic_nor_inflate() {
    let keys = list((0..60).map(|k| k * 3));
    let mut rng = Rng::new(Seed(11), 0);
    for spec in EXACT.iter().chain(&LOSSY) {
        for (dtype, width) in [(Dtype::F32, 2), (Dtype::I64, 1), (Dtype::F64, 3)] {
            let direction = if rng.below(2) == 0 && EXACT.contains(spec) { Direction::Pull } else { Direction::Push };
            let mut ends = ends(spec, direction, dtype, width);
            for task in 1..4 {
                let sent = values(dtype, keys.len() * width, task);
                let bytes = ends.encode(task, &keys, sent).unwrap();
                for _ in 0..300 {
                    let mut bad = bytes.clone();
                    match rng.below(4) {
                        0 => bad.truncate(rng.below(bytes.len() as u64) as usize),
                        1 => bad.extend((0..rng.below(40)).map(|_| rng.next_u64() as u8)),
                        2 => bad[6..].iter_mut().for_each(|b| *b = rng.next_u64() as u8),
                        _ => {
                            for _ in 0..=rng.below(3) {
                                let at = rng.below(bad.len() as u64) as usize;
                                bad[at] ^= 1 << rng.below(8);
                            }
                        }
                    }
                    if let Ok(got) = ends.decode(task, &keys, &bad) {
                        assert_eq!(got.values.len(), got.rows.count() * width);
                        assert_eq!((got.values.dtype(), got.rows.len()), (dtype, keys.len()));
                    }
                }
            }
        }
    }
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let keys = list(0..4);
    let plain = vec![0; 1 << 18];
    for (spec, packed) in
        [("lz4,lz4", lz4_flex::block::compress(&plain)), ("zstd,zstd", zstd::bulk::compress(&plain, 1).unwrap())]
    {
        let mut ends = pushes(spec, Dtype::F32, 1);
        let mut bytes = ends.encode(1, &keys, vec![1.0f32; 4]).unwrap()[..6].to_vec();
        // Bytes; all rows; first note: numbers, packed; second note: packed, 2^18 plain bytes; then the bomb.
        bytes[1] = 1;
        bytes.extend([0, 1, 3, 4, 2, 128, 128, 16]);
        bytes.extend(packed);
        let said = ends.decode(1, &keys, &bytes).unwrap_err().to_string();
        assert!(said.ends_with("expected at most 1088 plain bytes, got 262144"), "{said}");
    }
}

#[test]
fn ends_with_other_filters_do_not_understand_each_other() {
    let keys = list(0..4);
    let bytes = pushes("zero,lz4", Dtype::F32, 1).encode(1, &keys, vec![1.0f32; 4]).unwrap();
    let said = pushes("zero,zstd", Dtype::F32, 1).decode(1, &keys, &bytes).unwrap_err().to_string();
    assert!(said.starts_with("filter chain: expected filters with hash"), "{said}");
    let said = pushes("zero,lz4", Dtype::F32, 1).decode(1, &list(0..3), &bytes).unwrap_err().to_string();
    assert!(said.starts_with("filter lz4: expected 12 "), "{said}");
}

#[test]
fn what_filters_save_is_counted_in_order() {
    let keys = list(0..1000);
    let mut ends = pushes("key-cache,zero,fixed-point:1,zstd", Dtype::F32, 1);
    let half_zero = Values::F32((0..1000).map(|i| if i < 500 { 0.0 } else { i as f32 }).collect());
    let cx = Context { keys_named: true, ..cx(1, Direction::Push) };
    let bytes = ends.sender.encode(&cx, &keys, half_zero).unwrap();
    ends.decode(1, &keys, &bytes).unwrap();
    let saved = ends.sender.saved();
    let names: Vec<_> = saved.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["key-cache", "zero", "fixed-point", "zstd"]);
    // 4000 bytes of numbers and one that says "all rows" go through key-cache, 8000 of keys beside them.
    assert_eq!((saved[0].before, saved[0].after), (8000 + 4001, 24 + 4001));
    assert_eq!((saved[1].before, saved[2].before, saved[2].after), (4001, saved[1].after, saved[3].before));
    assert!(saved[1].after < 2200 && saved[2].after < 700, "{saved:?}");
    for (a, b) in saved.iter().zip(ends.receiver.saved()).skip(1) {
        assert_eq!(a, &b, "both ends count the same");
    }
}

#[test]
fn what_is_not_finite_passes_bit_by_bit_or_is_refused() {
    let keys = list(0..40);
    let odd = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
    let push: Vec<f64> = (0..40).map(|i| odd[i % 5]).collect();
    let bits = |v: &Values| (0..v.len()).map(|i| v.real(i).to_bits()).collect::<Vec<_>>();
    for spec in ["key-cache", "zero", "kkt", "countmin:0", "random-skip:1", "significant:9:copy", "lz4", "zstd"] {
        let got = pushes(spec, Dtype::F64, 1).send(1, &keys, push.clone());
        assert_eq!(bits(&got.values), bits(&push.clone().into()), "{spec}");
    }
    for spec in ["fixed-point:1", "significant:9", "error-feedback:kkt"] {
        let said = pushes(spec, Dtype::F64, 1).encode(1, &keys, push.clone()).unwrap_err().to_string();
        assert!(said.contains("expected finite"), "{spec}: {said}");
    }
}

#[test]
fn marked_keys_stay_behind_and_can_come_back() {
    let keys = list([1, 4, 6, 8]);
    let mut ends = pushes("kkt,lz4", Dtype::F32, 2);
    let marked = super::marks(&[0.0, 0.0, 1.0, 0.0], &[0.1, -0.95, 0.1, f32::NAN], 1.0, 0.1);
    assert_eq!(marked.iter().collect::<Vec<_>>(), [0]);
    let push = vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let with = Context { marked: Some(&marked), ..cx(1, Direction::Push) };
    let bytes = ends.sender.encode(&with, &keys, push.clone().into()).unwrap();
    let got = ends.decode(1, &keys, &bytes).unwrap();
    assert_eq!((got.keys(&keys).keys(), got.values), (&[4, 6, 8][..], push[2..].to_vec().into()));
    assert_eq!(ends.send(2, &keys, push).rows, Rows::all(4));
    let wrong = Rows::all(3);
    let with = Context { marked: Some(&wrong), ..cx(3, Direction::Push) };
    let said = ends.sender.encode(&with, &keys, vec![0.0f32; 8].into()).unwrap_err().to_string();
    assert_eq!(said, "filter kkt: expected marks for 4 keys, got 3");
}
