//! Draws a click log: `cargo run --release -p handcar-data --example synth -- --rows N [--first I] --seed S -o FILE`.

use handcar_base::Seed;
use std::fs::File;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned();
    let number = |name: &str, default: u64| match value(name) {
        Some(v) => v.parse().map_err(|_| std::io::Error::other(format!("{name}: expected a number, got {v}"))),
        None => Ok(default),
    };
    let (rows, first, seed) = (number("--rows", 1000)?, number("--first", 0)?, number("--seed", 0)?);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let range = first..first + rows;
    match value("-o") {
        Some(path) => handcar_data::synth::synth_criteo(range, Seed(seed), threads, &mut File::create(path)?),
        None => handcar_data::synth::synth_criteo(range, Seed(seed), threads, &mut std::io::stdout().lock()),
    }
}
