//! Question: how many bytes a second go through each filter on one core, and how many are left?
//! Data: 1 Mi keys of `[gradient, curvature]` in f32, 30% zero rows, magnitudes over six decades, seed 7; then the
//! same as i64 sums with 2^40 steps to one.
//!
//! `cargo run --release -p handcar-ps --example filter_rate`

use handcar_base::{KeyList, Rng, Seed};
use handcar_ps::filter::{Context, Direction, FilterRegistry};
use handcar_ps::{Dtype, TableId, Task, Values};
use std::time::Instant;

const KEYS: usize = 1 << 20;
const SPECS: [&str; 12] = [
    "zero",
    "lz4",
    "zstd:1",
    "zstd:3",
    "fixed-point:1",
    "fixed-point:2",
    "zero,fixed-point:2,zstd:1",
    "random-skip:0.1",
    "significant:0.1",
    "countmin:2",
    "error-feedback:fixed-point:1",
    "error-feedback:fixed-point:1,zstd:1",
];

fn gradients() -> Vec<f64> {
    let mut rng = Rng::new(Seed(7), 0);
    let row = |_| {
        let size = 10f64.powf(6.0 * rng.uniform() - 4.0);
        let zero = rng.uniform() < 0.3;
        let g = size * (2.0 * rng.uniform() - 1.0);
        if zero { [0.0, 0.0] } else { [g, g * g] }
    };
    (0..KEYS).flat_map(row).collect()
}

fn main() {
    let keys = KeyList::new((0..KEYS as u64).map(|k| k * 7).collect()).expect("increasing");
    let g = gradients();
    let singles = Values::F32(g.iter().map(|&x| x as f32).collect());
    let sums = Values::I64(g.iter().map(|&x| (x * (1u64 << 40) as f64) as i64).collect());
    println!("{:<38} {:>5} {:>12} {:>12} {:>8}", "filters", "type", "encode MB/s", "decode MB/s", "left");
    for values in [singles, sums] {
        let dtype = values.dtype();
        let plain = (values.len() * dtype.bytes()) as f64;
        for spec in SPECS {
            let chain = || FilterRegistry::new().chain(&spec.parse().expect("a spec"), Direction::Push, dtype, 2);
            let (mut sender, mut receiver) = (chain().expect("a chain"), chain().expect("a chain"));
            let (mut encode, mut decode, mut bytes) = (f64::MAX, f64::MAX, 0);
            for task in 1..=3 {
                let cx = Context::new(TableId(0), Task(task), Direction::Push, 0, Seed(7));
                let push = values.clone();
                let start = Instant::now();
                let message = sender.encode(&cx, &keys, push).expect("encodes");
                encode = encode.min(start.elapsed().as_secs_f64());
                let start = Instant::now();
                receiver.decode(&cx, &keys, &message).expect("decodes");
                decode = decode.min(start.elapsed().as_secs_f64());
                bytes = message.len();
            }
            let rate = |seconds: f64| plain / seconds / 1e6;
            println!(
                "{spec:<38} {dtype:>5} {:>12.0} {:>12.0} {:>7.1}%",
                rate(encode),
                rate(decode),
                100.0 * bytes as f64 / plain
            );
        }
        if dtype == Dtype::F32 {
            println!();
        }
    }
}
