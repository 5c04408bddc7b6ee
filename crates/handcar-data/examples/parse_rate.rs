//! Question: how fast does text become packed data, stage by stage?
//! Data: any file; `cargo run --release -p handcar-data --example synth -- --rows 1000000 --seed 1 -o FILE` makes one.
//!
//! `cargo run --release -p handcar-data --example parse_rate -- FILE [THREADS] [RUNS] [CACHE_DIR]`

use handcar_data::{CachePolicy, ReadOptions, build_blocks, read};
use std::time::Instant;

/// Seconds this thread has been on a core: what a busy machine does not blur. Only one thread is counted.
fn on_core() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let file = args.first().ok_or("expected a file")?.clone();
    let number = |i: usize| args.get(i).map_or(Ok(1usize), |a| a.parse());
    let (threads, runs) = (number(1)?, number(2)?);
    let label = file.contains("adult").then(|| "income".to_string());
    let off = ReadOptions { threads, label, cache: CachePolicy::off(), ..Default::default() };
    let mut rates = Vec::new();
    for _ in 0..runs {
        let (start, core) = (Instant::now(), on_core());
        let d = read(std::slice::from_ref(&file), &off)?;
        let (seconds, core) = (start.elapsed().as_secs_f64(), on_core() - core);
        let rate = d.report().text_bytes as f64 / 1e6 / seconds;
        rates.push(rate);
        let by_core = d.report().text_bytes as f64 / 1e6 / core;
        println!(
            "text -> memory: {rate:.0} MB/s, {seconds:.3} s ({by_core:.0} MB/s of core time), {threads} threads, {d:?}"
        );
        for stage in &d.report().stages {
            println!("    {:<10} {:.3} s", stage.name, stage.seconds);
        }
        let start = Instant::now();
        let blocks = build_blocks(d.csr(), d.keys());
        let ns = start.elapsed().as_secs_f64() * 1e9 / d.nonzeros() as f64;
        println!("    build_blocks on its own: {ns:.2} ns a nonzero, {} blocks", blocks.blocks().len());
        if let Some(dir) = args.get(3) {
            let cached = ReadOptions { cache: CachePolicy::at(dir), ..off.clone() };
            std::fs::remove_dir_all(dir).ok();
            for what in ["text -> cache", "from cache"] {
                let (start, core) = (Instant::now(), on_core());
                let d = read(std::slice::from_ref(&file), &cached)?;
                let (seconds, core) = (start.elapsed().as_secs_f64(), on_core() - core);
                let (rate, by_core) =
                    (d.report().text_bytes as f64 / 1e6 / seconds, d.report().text_bytes as f64 / 1e6 / core);
                let from_cache = d.report().from_cache;
                println!(
                    "{what}: {rate:.0} MB/s, {seconds:.3} s ({by_core:.0} MB/s of core time), from_cache {from_cache}"
                );
            }
        }
    }
    rates.sort_by(f64::total_cmp);
    println!("median {:.0} MB/s", rates[rates.len() / 2]);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|l| l.starts_with("VmHWM")).for_each(|l| println!("{l}"));
    Ok(())
}
