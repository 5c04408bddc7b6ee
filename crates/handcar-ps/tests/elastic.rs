//! Workers that are killed, stopped, started and that leave, while passes go on: every portion counts exactly once.

mod common;

use common::trial::{Cluster, Process, run_part, trials};
use common::{keys, registry};
use handcar_base::{Key, Rng, Seed};
use handcar_ps::driver::net::{NodeConfig, connect_worker};
use handcar_ps::{Error, TableId, Values, Worker};
use rustix::process::Signal;
use std::process::Child;

const PORTIONS: u32 = 40;
const KEYS: u64 = 50;
/// The key under which workers find after which pass to stop.
const END: Key = 1 << 60;

#[test]
fn a_process_of_the_cluster() {
    if std::env::var("HANDCAR_TEST_PART").as_deref() != Ok("worker") {
        return run_part();
    }
    let scheduler = std::env::var("HANDCAR_TEST_SCHEDULER").unwrap();
    let worker = connect_worker(&scheduler, &NodeConfig::default());
    let told = worker.and_then(|mut w| {
        let tables = tables(&mut w)?;
        let mut pass = 0;
        loop {
            take_part(&mut w, tables, pass)?;
            let end = w.pull(tables[0], &keys(&[END])).wait()?.pulled.and_then(Values::into_vec::<i64>).unwrap()[0];
            pass += 1;
            if end != 0 && pass as i64 >= end {
                return w.finish();
            }
        }
    });
    println!("\nend: {}", told.map_or_else(|e| e.to_string(), |()| "fine".into()));
}

fn tables(w: &mut Worker) -> Result<[TableId; 2], Error> {
    Ok([w.create_table("one", "sum.i64", &[])?, w.create_table("two", "sum.i64", &[])?])
}

/// Keys of a pass of their own, so that each pass can be checked by itself.
fn keys_of(pass: u64) -> Vec<Key> {
    (0..KEYS).map(|k| pass * KEYS + k).collect()
}

/// Does portions of a pass until it is over.
fn take_part(w: &mut Worker, tables: [TableId; 2], pass: u64) -> Result<u32, Error> {
    let list = keys(&keys_of(pass));
    let mut done = 0;
    while let Some(portion) = w.next_portion(pass, PORTIONS)? {
        for n in 0..3 {
            let values: Vec<i64> = (0..KEYS as i64).map(|k| k + n * (1 + portion.index as i64)).collect();
            for table in tables {
                w.push(table, &list, values.clone()).portion(portion).submit()?;
            }
        }
        done += 1;
    }
    Ok(done)
}

fn check(w: &mut Worker, tables: [TableId; 2], pass: u64) {
    let portions = PORTIONS as i64;
    let want: Vec<i64> = (0..KEYS as i64).map(|k| 3 * k * portions + 3 * (portions * (portions + 1) / 2)).collect();
    for table in tables {
        let got = w.pull(table, &keys(&keys_of(pass))).wait().unwrap().pulled.and_then(Values::into_vec::<i64>);
        assert_eq!(got.unwrap(), want, "pass {pass}");
    }
}

fn start_worker(cluster: &Cluster) -> Process {
    let mut child: Child = cluster.command("worker").spawn().unwrap();
    let out = child.stdout.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut { out }, &mut std::io::sink()));
    Process(child)
}

#[test]
fn workers_come_and_go_and_every_portion_counts_once() {
    let mut cluster = Cluster::start_elastic(3, 1, 2);
    let mut w = connect_worker(&cluster.addr, &NodeConfig::default()).unwrap();
    let tables = tables(&mut w).unwrap();
    let mut rng = Rng::new(Seed(3), 0);
    let mut workers: Vec<Process> = Vec::new();
    let (mut pass, mut own, mut killed, mut stopped, mut servers) = (0, 0, 0, 0, 0);
    let trials = 3 * trials() as u64;
    while killed + stopped + servers < trials {
        while workers.len() < 3 {
            workers.push(start_worker(&cluster));
        }
        // All of them take part before one is lost.
        let members = |w: &Worker| w.view().workers.as_ref().map_or(0, |all| all.len());
        loop {
            own += take_part(&mut w, tables, pass).unwrap();
            check(&mut w, tables, pass);
            pass += 1;
            if members(&w) == 4 && w.view().servers.len() == 3 && !w.view().unfilled() && !w.view().frozen {
                break;
            }
        }
        match rng.below(4) {
            0 => {
                let mut victim = workers.remove(0);
                victim.signal(Signal::STOP);
                while members(&w) == 4 {
                    own += take_part(&mut w, tables, pass).unwrap();
                    check(&mut w, tables, pass);
                    pass += 1;
                }
                victim.signal(Signal::CONT);
                victim.ended();
                stopped += 1;
            }
            1 => {
                let mut victim = cluster.servers.remove(rng.below(3) as usize);
                victim.signal(Signal::KILL);
                victim.ended();
                cluster.add_server();
                servers += 1;
            }
            _ => {
                workers.remove(rng.below(3) as usize).signal(Signal::KILL);
                killed += 1;
            }
        }
    }
    w.push(tables[0], &keys(&[END]), vec![pass as i64 + 1]).immediate().wait().unwrap();
    own += take_part(&mut w, tables, pass).unwrap();
    check(&mut w, tables, pass);
    w.finish().unwrap();
    workers.iter_mut().for_each(Process::ended);
    println!(
        "{killed} workers killed, {stopped} stopped, {servers} servers killed; {} passes of {PORTIONS} portions, each \
         counted once; {own} done by the one worker that stayed",
        pass + 1
    );
}

#[test]
fn collectives_are_refused_where_workers_come_and_go() {
    let cluster = Cluster::start_elastic(1, 1, 1);
    let mut w = connect_worker(&cluster.addr, &NodeConfig::default()).unwrap();
    let [table, _] = tables(&mut w).unwrap();
    let expected = "expected pushes for a portion or immediate ones, since workers come and go";
    for told in [
        w.push(table, &keys(&[1]), vec![1i64]).wait().map(drop),
        w.call(table, &[]).map(drop),
        w.submit_reduce(handcar_ps::message::ReduceOp::Sum, &[1]).map(drop),
    ] {
        let told = told.unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
    }
    w.push(table, &keys(&[1]), vec![1i64]).immediate().wait().unwrap();
    w.finish().unwrap();
    let _ = registry();
}
