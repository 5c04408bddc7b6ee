//! Question: what do copies cost? A push+pull round of 1,000,000 cached keys with f32 values against two server processes
//! that keep each key once, and against two that keep each key twice. Medians of 11 interleaved rounds.
//!
//! `cargo run --release -p handcar-ps --example replica_rate`

use handcar_base::KeyList;
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::{Dtype, Registry, TableId, Values, Worker};
use std::error::Error;
use std::process::{Child, Command};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 11;
const REPEAT: usize = 8;

struct Cluster {
    worker: Worker,
    table: TableId,
    keys: KeyList,
    values: Values,
    buffer: Values,
    servers: Vec<Child>,
    scheduler: std::thread::JoinHandle<handcar_ps::Result<()>>,
}

fn cluster(copies: usize, keys: usize) -> Result<Cluster> {
    let listener = listen("127.0.0.1:0", false)?;
    let addr = listener.local_addr()?.to_string();
    // Nobody is lost here, however busy the machine.
    let config = SchedulerConfig { suspect_ms: 5000, ..SchedulerConfig::new(1, 2).with_copies(copies) };
    let scheduler = std::thread::spawn(move || run_scheduler(listener, &config));
    let server = || Command::new(std::env::current_exe()?).args(["server", &addr]).spawn();
    let servers = vec![server()?, server()?];
    let mut worker = connect_worker(&addr, &NodeConfig::default())?;
    let table = worker.create_table("w", "sum.f32", &[])?;
    let list = KeyList::new((0..keys as u64).map(|i| i * 97).collect())?;
    worker.insert(table, &list).wait()?;
    let (values, buffer) = (Values::from(vec![1.0f32; keys]), Values::empty(Dtype::F32));
    Ok(Cluster { worker, table, keys: list, values, buffer, servers, scheduler })
}

impl Cluster {
    fn round(&mut self) -> Result<()> {
        let empty = || Values::empty(Dtype::F32);
        let (push, pull) = (std::mem::replace(&mut self.values, empty()), std::mem::replace(&mut self.buffer, empty()));
        let out = self.worker.push_pull(self.table, &self.keys, push).into_buffer(pull).wait()?;
        (self.values, self.buffer) = (out.spent.unwrap_or(empty()), out.pulled.unwrap_or(empty()));
        Ok(())
    }

    fn seconds(&mut self) -> Result<f64> {
        let start = Instant::now();
        (0..REPEAT).try_for_each(|_| self.round())?;
        Ok(start.elapsed().as_secs_f64() / REPEAT as f64)
    }

    fn end(self) -> Result<()> {
        self.worker.finish()?;
        self.scheduler.join().map_err(|_| "the scheduler panicked")??;
        for mut server in self.servers {
            server.wait()?;
        }
        Ok(())
    }
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == "server") {
        return Ok(run_server(listen("127.0.0.1:0", false)?, &args[2], &Registry::new(), &NodeConfig::default())?);
    }
    for keys in [1, 1000, 1_000_000] {
        let (mut once, mut twice) = (cluster(1, keys)?, cluster(2, keys)?);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            times[0].push(once.seconds()?);
            times[1].push(twice.seconds()?);
        }
        once.end()?;
        twice.end()?;
        let [one, two] = times.map(median);
        println!("{keys:>8} keys: k = 1 {:9.3} ms, k = 2 {:9.3} ms = {:.2} x", one * 1e3, two * 1e3, two / one);
    }
    Ok(())
}
