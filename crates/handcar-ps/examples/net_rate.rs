//! Question: what share of raw TCP does the parameter server reach, and what does one key cost?
//! Data: 1,000,000 keys with f32 values; payload = keys + values (12 bytes a key), although cached keys do not travel.
//! Baseline: raw 1 MiB writes and a 64-byte ping-pong over TCP loopback to another process, in the same run.
//!
//! `cargo run --release -p handcar-ps --example net_rate` prints medians of 11 interleaved rounds.

use handcar_base::{KeyList, key};
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::engine::plan::Plan;
use handcar_ps::engine::view::{Route, View, unplaced};
use handcar_ps::{Dtype, Policy, Registry, TableId, Values, Worker, driver::local};
use std::error::Error;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEYS: usize = 1_000_000;
const BLOCK: usize = 1 << 20;
const RAW_BLOCKS: usize = 64;
const PINGS: usize = 2000;
const ROUNDS: usize = 11;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("server") => {
            run_server(listen("127.0.0.1:0", false)?, &args[2], &Registry::new(), &NodeConfig::default())?
        }
        Some("raw") => raw_peer(&args[2])?,
        _ => measure()?,
    }
    Ok(())
}

fn child(role: &str, addr: &str) -> Result<Child> {
    Ok(Command::new(std::env::current_exe()?).args([role, addr]).spawn()?)
}

/// The other end of the baseline: answers each run of blocks, and each ping, with 64 bytes.
fn raw_peer(addr: &str) -> Result<()> {
    let mut s = TcpStream::connect(addr)?;
    s.set_nodelay(true)?;
    let mut block = vec![0; BLOCK];
    let mut mode = [0; 1];
    while s.read_exact(&mut mode).is_ok() {
        if mode[0] == 0 {
            s.read_exact(&mut block[..63])?;
        } else {
            for _ in 0..RAW_BLOCKS {
                s.read_exact(&mut block)?;
            }
        }
        s.write_all(&block[..64])?;
    }
    Ok(())
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

fn seconds(mut f: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    f()?;
    Ok(start.elapsed().as_secs_f64())
}

fn measure() -> Result<()> {
    let listener = listen("127.0.0.1:0", false)?;
    let raw = child("raw", &listener.local_addr()?.to_string())?;
    let (mut s, _) = listener.accept()?;
    s.set_nodelay(true)?;

    let listener = listen("127.0.0.1:0", false)?;
    let addr = listener.local_addr()?.to_string();
    let scheduler = std::thread::spawn(move || run_scheduler(listener, &SchedulerConfig::new(1, 1)));
    let server = child("server", &addr)?;
    let mut w = connect_worker(&addr, &NodeConfig::default())?;
    let table = w.create_table("w", "sum.f32", &[])?;
    w.set_policy(Policy::Eventual);
    let keys = KeyList::new((0..KEYS as u64).map(|i| i * 97).collect())?;
    let one = keys.slice(KEYS / 2..KEYS / 2 + 1);
    let mut values = Values::from(vec![1.0f32; KEYS]);
    let mut buffer = Values::empty(Dtype::F32);
    let uncached = seconds(|| {
        w.insert(table, &keys).wait()?;
        Ok(())
    })?;

    let block = vec![1u8; BLOCK];
    let mut small = [0; 64];
    let names = [
        "raw blocks",
        "raw ping",
        "push",
        "pull",
        "push+pull",
        "one-key pull",
        "one-key push",
        "uncached push",
        "uncached pull",
    ];
    // Lists nobody has seen: each misses another key.
    let strange = |n: usize| KeyList::new((0..KEYS as u64).filter(|i| *i != n as u64).map(|i| i * 97).collect());
    let mut times = vec![Vec::new(); names.len()];
    for n in 0..ROUNDS {
        let (a, b) = (strange(2 * n)?, strange(2 * n + 1)?);
        let mut ones = Some(vec![1.0f32; KEYS - 1]);
        times[7].push(seconds(|| {
            w.push(table, &a, ones.take().unwrap_or_default()).immediate().wait()?;
            Ok(())
        })?);
        times[8].push(seconds(|| {
            black_box(w.pull(table, &b).wait()?);
            Ok(())
        })?);
        times[0].push(seconds(|| {
            s.write_all(&[1])?;
            for _ in 0..RAW_BLOCKS {
                s.write_all(&block)?;
            }
            Ok(s.read_exact(&mut small)?)
        })?);
        times[1].push(seconds(|| {
            for _ in 0..PINGS {
                s.write_all(&[0; 64])?;
                s.read_exact(&mut small)?;
            }
            Ok(())
        })?);
        let many = 8;
        times[2].push(
            seconds(|| {
                for _ in 0..many {
                    let out = w
                        .push(table, &keys, std::mem::replace(&mut values, Values::empty(Dtype::F32)))
                        .immediate()
                        .wait()?;
                    values = out.spent.unwrap_or(Values::empty(Dtype::F32));
                }
                Ok(())
            })? / many as f64,
        );
        times[3].push(
            seconds(|| {
                for _ in 0..many {
                    buffer = pull(&mut w, table, &keys, std::mem::replace(&mut buffer, Values::empty(Dtype::F32)))?;
                }
                Ok(())
            })? / many as f64,
        );
        times[4].push(
            seconds(|| {
                for _ in 0..many {
                    round(&mut w, table, &keys, &mut values, &mut buffer)?;
                }
                Ok(())
            })? / many as f64,
        );
        times[5].push(
            seconds(|| {
                for _ in 0..PINGS {
                    black_box(w.pull(table, &one).wait()?);
                }
                Ok(())
            })? / PINGS as f64,
        );
        times[6].push(
            seconds(|| {
                for _ in 0..PINGS {
                    black_box(w.push(table, &one, vec![1.0f32]).immediate().wait()?);
                }
                Ok(())
            })? / PINGS as f64,
        );
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    let raw_rate = (BLOCK * RAW_BLOCKS) as f64 / medians[0];
    let ping = medians[1] / PINGS as f64;
    let payload = 12.0 * KEYS as f64;
    println!("raw 1 MiB writes        {:8.2} GB/s", raw_rate / 1e9);
    println!("raw ping-pong           {:8.2} us", ping * 1e6);
    println!("first sight of the keys {:8.2} ms", uncached * 1e3);
    for (i, bytes) in [(2, payload), (3, payload), (4, payload + 4.0 * KEYS as f64), (7, payload), (8, payload)] {
        let rate = bytes / medians[i];
        println!(
            "{:<23} {:8.2} ms {:8.2} GB/s payload = {:5.1}% of raw",
            names[i],
            medians[i] * 1e3,
            rate / 1e9,
            100.0 * rate / raw_rate
        );
    }
    for i in [5, 6] {
        println!("{:<23} {:8.2} us = {:5.2} x raw ping-pong", names[i], medians[i] * 1e6, medians[i] / ping);
    }
    w.finish()?;
    scheduler.join().map_err(|_| "the scheduler panicked")??;
    drop(s);
    for mut c in [raw, server] {
        c.wait()?;
    }
    local_rate()
}

fn pull(w: &mut Worker, table: TableId, keys: &KeyList, buffer: Values) -> Result<Values> {
    Ok(w.pull(table, keys).into_buffer(buffer).wait()?.pulled.unwrap_or(Values::empty(Dtype::F32)))
}

fn round(w: &mut Worker, table: TableId, keys: &KeyList, values: &mut Values, buffer: &mut Values) -> Result<()> {
    let empty = || Values::empty(Dtype::F32);
    let (push, pull) = (std::mem::replace(values, empty()), std::mem::replace(buffer, empty()));
    let out = w.push_pull(table, keys, push).into_buffer(pull).wait()?;
    (*values, *buffer) = (out.spent.unwrap_or(empty()), out.pulled.unwrap_or(empty()));
    Ok(())
}

/// The local driver beside a plain copy of the memory it must touch.
fn local_rate() -> Result<()> {
    let mut w = local::cluster(1, 1, &Registry::new()).remove(0);
    let table = w.create_table("w", "sum.f32", &[])?;
    for n in [1, 1000, KEYS, 16 * KEYS, 64 << 20] {
        let keys = KeyList::new((0..n as u64).map(|i| i * 97).collect())?;
        w.insert(table, &keys).wait()?;
        let (mut values, mut buffer) = (Values::from(vec![1.0f32; n]), Values::empty(Dtype::F32));
        let (from, mut to) = (vec![1.0f32; 2 * n], vec![0.0f32; 2 * n]);
        let rounds = if n > 16 * KEYS { 5 } else { ROUNDS };
        let repeat = (4_000_000 / n).max(1);
        let (mut moved, mut copied) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            moved.push(
                seconds(|| {
                    for _ in 0..repeat {
                        round(&mut w, table, &keys, &mut values, &mut buffer)?;
                    }
                    Ok(())
                })? / repeat as f64,
            );
            copied.push(
                seconds(|| {
                    for _ in 0..repeat {
                        to.copy_from_slice(black_box(&from));
                        black_box(&mut to);
                    }
                    Ok(())
                })? / repeat as f64,
            );
        }
        let (moved, copied) = (median(moved), median(copied));
        println!(
            "local push+pull of {n:>8} keys {:10.2} us = {:5.2} ns a key; a copy of as many bytes takes {:10.2} us",
            moved * 1e6,
            moved * 1e9 / n as f64,
            copied * 1e6
        );
    }
    w.finish()?;
    split_rate()
}

fn split(keys: &KeyList, route: &Route) -> Result<f64> {
    seconds(|| {
        black_box(Plan::of(keys, route));
        Ok(())
    })
}

/// What it costs to split a list over servers once, to use the split afterwards, and to check a frame.
fn split_rate() -> Result<()> {
    let keys = KeyList::new((0..KEYS as u64).map(|i| i * 97).collect())?;
    for servers in [2, 4, 16] {
        let route = Route::new(&View::first(unplaced(0..servers), 1), |s| s.chain.first().copied());
        let once = median((0..ROUNDS).map(|_| split(&keys, &route)).collect::<Result<_>>()?);
        let mut w = local::cluster(1, servers, &Registry::new()).remove(0);
        let table = w.create_table("w", "sum.f32", &[])?;
        w.insert(table, &keys).wait()?;
        let (mut values, mut buffer) = (Values::from(vec![1.0f32; KEYS]), Values::empty(Dtype::F32));
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            times.push(seconds(|| round(&mut w, table, &keys, &mut values, &mut buffer))?);
        }
        w.finish()?;
        let of = 1e9 / KEYS as f64;
        println!(
            "{servers:>2} servers: split once {:5.2} ns a key; local push+pull then {:5.2} ns a key",
            once * of,
            median(times) * of
        );
        for ids in [123u64, 10_000, 1_000_000] {
            let mut count = vec![0u64; servers];
            (1..=ids).for_each(|id| count[route.of(key::position(id)).unwrap_or(0)] += 1);
            let most = *count.iter().max().unwrap_or(&0) as f64;
            println!(
                "            raw ids 1..={ids:<8} fullest server holds {:.3} of its even share",
                most * servers as f64 / ids as f64
            );
        }
    }
    let block = vec![7u8; 256 << 10];
    let time = median(
        (0..ROUNDS)
            .map(|_| {
                seconds(|| {
                    for _ in 0..100 {
                        black_box(crc_fast::crc32_iscsi(black_box(&block)));
                    }
                    Ok(())
                })
            })
            .collect::<Result<_>>()?,
    );
    println!("CRC-32C of 256 KiB blocks {:.1} GB/s", 100.0 * block.len() as f64 / time / 1e9);
    Ok(())
}
