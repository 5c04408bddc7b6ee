//! Real processes, really killed: everybody else ends within 2 s and names the lost one.
//!
//! The test binary starts itself again for each process, see `a_process_of_the_cluster`.

mod common;

use common::{keys, registry};
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::{Error, Result, Worker};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// The promise.
const ALL_END_MS: u64 = 2000;
/// Time for five processes to start on a busy machine; no part of the promise.
const START: Duration = Duration::from_secs(60);

/// One process of a cluster when started by the tests below; nothing otherwise.
#[test]
fn a_process_of_the_cluster() {
    let Ok(part) = std::env::var("HANDCAR_TEST_PART") else { return };
    let scheduler = std::env::var("HANDCAR_TEST_SCHEDULER").unwrap_or_default();
    let rank = std::env::var("HANDCAR_TEST_RANK").ok().and_then(|r| r.parse().ok());
    let config = NodeConfig { rank, ..NodeConfig::default() };
    let result = match &part[..] {
        "scheduler" => serve_scheduler(),
        "server" => listen("127.0.0.1:0", false).and_then(|l| run_server(l, &scheduler, &registry(), &config)),
        _ => connect_worker(&scheduler, &config).and_then(|w| work(w, &part)),
    };
    match result {
        Ok(()) => println!("\nend: fine"),
        Err(error) => println!("\nend: {error}"),
    }
}

fn serve_scheduler() -> Result<()> {
    let listener = listen("127.0.0.1:0", false)?;
    let addr = listener.local_addr().map_err(|e| Error::System { op: "listen", how: e.to_string() })?;
    println!("\naddr: {addr}");
    run_scheduler(listener, &SchedulerConfig::new(2, 2))
}

/// `endless` pushes until somebody is lost, `waiting` waits in a barrier for rank 0, `brief` leaves after a few rounds.
fn work(mut w: Worker, part: &str) -> Result<()> {
    let table = w.create_table("w", "sum.f32", &[])?;
    let list = keys(&(0..1000).collect::<Vec<_>>());
    let mut rounds = 0u64;
    loop {
        w.push_pull(table, &list, vec![1.0f32; 1000]).wait()?;
        rounds += 1;
        if rounds == 3 {
            println!("\nat work");
            if part == "brief" {
                return w.finish();
            }
            if part == "waiting" && w.rank() == 1 {
                w.barrier()?;
            }
        }
        if part == "waiting" && rounds == 3 {
            // Rank 0 goes on alone in the only way that waits for nobody, while rank 1 is blocked in the barrier.
            loop {
                w.pull(table, &list).wait()?;
            }
        }
    }
}

struct Process {
    part: &'static str,
    rank: usize,
    child: Child,
}

impl Process {
    fn name(&self) -> String {
        let role = if ["scheduler", "server"].contains(&self.part) { self.part } else { "worker" };
        format!("{role} {}", self.rank)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process said: `(place in the cluster, what)`.
type Said = (usize, String);

fn spawn(part: &'static str, rank: usize, scheduler: &str, place: usize, said: &Sender<Said>) -> Process {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_of_the_cluster", "--nocapture"])
        .env("HANDCAR_TEST_PART", part)
        .env("HANDCAR_TEST_RANK", rank.to_string())
        .env("HANDCAR_TEST_SCHEDULER", scheduler)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = said.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(std::result::Result::ok) {
            if ["addr: ", "at work", "end: "].iter().any(|w| line.starts_with(w)) && said.send((place, line)).is_err() {
                return;
            }
        }
    });
    Process { part, rank, child }
}

fn cluster(kind: &'static str) -> (Vec<Process>, Receiver<Said>) {
    let (said, heard) = channel();
    let mut all = vec![spawn("scheduler", 0, "", 0, &said)];
    let addr = heard.recv_timeout(START).unwrap().1.replace("addr: ", "");
    for (place, (part, rank)) in (1..).zip([("server", 0), ("server", 1), (kind, 0), (kind, 1)]) {
        all.push(spawn(part, rank, &addr, place, &said));
    }
    // A brief worker may have ended before the other one says that it is at work.
    let mut early = Vec::new();
    for _ in 0..2 {
        let mut next = heard.recv_timeout(START).unwrap();
        while next.1 == "end: fine" {
            early.push(std::mem::replace(&mut next, heard.recv_timeout(START).unwrap()));
        }
        assert_eq!(next.1, "at work");
    }
    early.into_iter().for_each(|end| said.send(end).unwrap());
    (all, heard)
}

/// Waits until `count` processes have ended, and returns how.
fn ends(heard: &Receiver<Said>, count: usize) -> Vec<Said> {
    let begin = Instant::now();
    let mut ends: Vec<Said> = Vec::new();
    while ends.len() < count {
        let left = Duration::from_millis(ALL_END_MS).saturating_sub(begin.elapsed());
        match heard.recv_timeout(left) {
            Ok(end) => ends.push(end),
            Err(_) => panic!("after {ALL_END_MS} ms only {} of {count} ended: {ends:?}", ends.len()),
        }
    }
    ends
}

fn lose(kind: &'static str, signal: Signal) {
    for victim in 0..5 {
        let (all, heard) = cluster(kind);
        let name = all[victim].name();
        all[victim].signal(signal);
        for (place, how) in ends(&heard, 4) {
            let told = format!("end: lost {name} at 127.0.0.1:");
            assert!(
                place != victim && how.starts_with(&told),
                "{name} got {signal:?}, {} said: {how}",
                all[place].name()
            );
        }
        if signal == Signal::STOP {
            // Awake again it must not go on alone.
            all[victim].signal(Signal::CONT);
            let (place, how) = ends(&heard, 1).remove(0);
            assert!(place == victim && how.starts_with("end: lost "), "{how}");
        }
    }
}

#[test]
fn a_killed_process_ends_all_others_naming_it() {
    lose("endless", Signal::KILL);
}

#[test]
fn a_killed_process_ends_others_that_wait_in_a_call() {
    lose("waiting", Signal::KILL);
}

#[test]
fn a_stopped_process_counts_as_lost() {
    lose("endless", Signal::STOP);
}

#[test]
fn a_clean_end_is_no_loss() {
    let (_all, heard) = cluster("brief");
    assert!(ends(&heard, 5).iter().all(|(_, how)| how == "end: fine"));
}
