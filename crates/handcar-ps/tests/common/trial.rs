//! Trials with real processes: a cluster whose servers are lost while workers push, and what they count.
//!
//! The test binary starts itself again for each process: each binary has a test that calls [`run_part`].

use super::{keys, registry};
use handcar_base::{Key, KeyList};
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::{Result, TableId, Values, Worker};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time for anything to happen on a busy machine; no part of the promise.
const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: usize = 1000;

/// Runs one process of a cluster if this one was started as such.
pub fn run_part() {
    let Ok(part) = std::env::var("HANDCAR_TEST_PART") else { return };
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let result = match &part[..] {
        "scheduler" => listen(&var("HANDCAR_TEST_LISTEN"), true).and_then(|listener| {
            println!("\naddr: {}", listener.local_addr().unwrap());
            let number = |name: &str| var(name).parse().unwrap();
            let config = SchedulerConfig {
                state: Some(var("HANDCAR_TEST_STATE").into()),
                elastic: var("HANDCAR_TEST_ELASTIC") == "true",
                ..SchedulerConfig::new(number("HANDCAR_TEST_WORKERS"), number("HANDCAR_TEST_SERVERS"))
                    .with_copies(number("HANDCAR_TEST_COPIES"))
            };
            run_scheduler(listener, &config)
        }),
        _ => {
            let leave = Arc::new(AtomicBool::new(false));
            let config = NodeConfig { leave: Some(Arc::clone(&leave)), ..NodeConfig::default() };
            // A line on standard input asks it to leave.
            std::thread::spawn(move || {
                let asked = std::io::stdin().read_line(&mut String::new()).is_ok_and(|n| n > 0);
                leave.store(asked, Ordering::Release);
            });
            listen(&var("HANDCAR_TEST_LISTEN"), true)
                .and_then(|l| run_server(l, &var("HANDCAR_TEST_SCHEDULER"), &registry(), &config))
        }
    };
    println!("\nend: {}", result.map_or_else(|e| e.to_string(), |()| "fine".into()));
}

pub struct Process(pub Child);

impl Process {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn ended(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "a process that was replaced must end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Cluster {
    pub scheduler: Option<Process>,
    pub addr: String,
    pub servers: Vec<Process>,
    state: tempfile::TempDir,
    shape: [usize; 3],
    host: Option<String>,
    listen: Option<String>,
    elastic: bool,
}

/// A network namespace and its address.
pub struct Host {
    pub name: String,
    pub addr: String,
}

impl Cluster {
    /// A cluster whose workers come and go.
    pub fn start_elastic(servers: usize, workers: usize, copies: usize) -> Self {
        Self::start_as(true, servers, workers, copies, &[])
    }

    /// A cluster whose workers stay.
    pub fn start_fixed(servers: usize, workers: usize, copies: usize) -> Self {
        Self::start(servers, workers, copies, &[])
    }

    fn start(servers: usize, workers: usize, copies: usize, hosts: &[Host]) -> Self {
        Self::start_as(false, servers, workers, copies, hosts)
    }

    fn start_as(elastic: bool, servers: usize, workers: usize, copies: usize, hosts: &[Host]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let shape = [servers, workers, copies];
        // The first host is where the test itself, and the scheduler, live.
        let addr = hosts.first().map_or("127.0.0.1:0".into(), |h| format!("{}:0", h.addr));
        let mut cluster =
            Self { scheduler: None, addr, servers: Vec::new(), state, shape, host: None, listen: None, elastic };
        cluster.start_scheduler();
        for n in 0..servers {
            if let Some(host) = hosts.get(n + 1) {
                cluster.place(host);
            }
            cluster.add_server();
        }
        cluster
    }

    pub fn command(&self, part: &str) -> Command {
        let program = std::env::current_exe().unwrap();
        // In a network of the test's own a server lives on a host of its own.
        let mut command = match &self.host {
            Some(host) if part == "server" => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", host]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        command.args(["--exact", "a_process_of_the_cluster", "--nocapture"]);
        command.env("HANDCAR_TEST_PART", part).env("HANDCAR_TEST_SCHEDULER", &self.addr);
        command.env("HANDCAR_TEST_LISTEN", &self.addr).env("HANDCAR_TEST_STATE", self.state.path());
        command.env("HANDCAR_TEST_ELASTIC", self.elastic.to_string());
        for (name, n) in ["SERVERS", "WORKERS", "COPIES"].iter().zip(self.shape) {
            command.env(format!("HANDCAR_TEST_{name}"), n.to_string());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// The next server lives on this host.
    pub fn place(&mut self, host: &Host) {
        (self.host, self.listen) = (Some(host.name.clone()), Some(format!("{}:0", host.addr)));
    }

    /// Starts the scheduler, at its old address if it had one.
    pub fn start_scheduler(&mut self) {
        let mut child = self.command("scheduler").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = lines.find_map(|l| l.ok()?.strip_prefix("addr: ").map(str::to_string));
        std::thread::spawn(move || lines.for_each(drop));
        self.addr = addr.expect("the scheduler says where it listens");
        self.scheduler = Some(Process(child));
    }

    pub fn add_server(&mut self) {
        let mut command = self.command("server");
        command.env("HANDCAR_TEST_LISTEN", self.listen.as_deref().unwrap_or("127.0.0.1:0"));
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.for_each(drop));
        self.servers.push(Process(child));
    }
}

impl Cluster {
    /// Waits for a server to end, and removes it; where it was among the servers.
    pub fn one_ended(&mut self) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(n) = self.servers.iter_mut().position(|s| s.0.try_wait().unwrap().is_some()) {
                self.servers.remove(n);
                return n;
            }
            assert!(Instant::now() < until, "some server must end");
            std::thread::yield_now();
        }
    }
}

/// What workers share: when to stop, and when the last push was acknowledged that was begun after a moment.
pub struct Watchdog {
    start: Instant,
    stop: AtomicBool,
    /// Epoch of the view worker 0 lives in, and the one it must be past to have noticed the last loss.
    pub epoch: AtomicU64,
    pub past: AtomicU64,
    /// Microseconds of the last loss.
    pub lost: AtomicU64,
    /// Microseconds from it to the next push begun and acknowledged, or 0.
    pub back: AtomicU64,
    /// Servers, and whether all their copies are there, as worker 0 has heard.
    pub servers: AtomicU64,
    pub whole: AtomicBool,
    pub longest_us: AtomicU64,
    pub pushes: AtomicU64,
}

impl Watchdog {
    fn us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// Loses a server. A push that it still answered while it died is none of those that came back.
    pub fn lose(&self, how: impl FnOnce()) {
        self.past.store(self.epoch.load(Ordering::SeqCst), Ordering::SeqCst);
        self.back.store(0, Ordering::SeqCst);
        how();
        self.lost.store(self.us(), Ordering::SeqCst);
    }

    pub fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < until, "still waiting for {what}");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

/// Pushes ones until told to stop, checks what is there as it goes, and returns how often.
fn push_ones(worker: Result<Worker>, dog: &Watchdog) -> i64 {
    let mut w = worker.unwrap();
    let rounds = w.create_table("rounds", "sum.i64", &[]).unwrap();
    let own = w.create_table("own", "sum.i64", &[]).unwrap();
    let all: Vec<Key> = (0..KEYS as u64).collect();
    let list = keys(&all);
    let mine = keys(&all.iter().map(|k| k + 1_000_000 * (1 + w.rank() as u64)).collect::<Vec<_>>());
    let workers = w.workers() as i64;
    let mut done = 0;
    let mut buffer = vec![1i64; KEYS];
    loop {
        // All workers stop after the same round.
        let stop = dog.stop.load(Ordering::SeqCst) as i64;
        let begun = dog.us();
        push(&mut w, rounds, &list, &mut buffer, false);
        push(&mut w, own, &mine, &mut buffer, true);
        done += 1;
        let now = dog.us();
        if w.rank() == 0 {
            dog.pushes.fetch_add(1, Ordering::SeqCst);
            dog.longest_us.fetch_max(now - begun, Ordering::SeqCst);
            // The view first: who sees that pushes go on must not see the view before the loss.
            let view = w.view();
            let view_epoch = view.epoch;
            dog.epoch.store(view_epoch, Ordering::SeqCst);
            dog.servers.store(view.servers.len() as u64, Ordering::SeqCst);
            dog.whole.store(!view.unfilled() && !view.frozen, Ordering::SeqCst);
            let lost = dog.lost.load(Ordering::SeqCst);
            if lost > 0
                && now >= lost
                && view_epoch > dog.past.load(Ordering::SeqCst)
                && dog.back.load(Ordering::SeqCst) == 0
            {
                dog.back.store((now - lost).max(1), Ordering::SeqCst);
            }
        }
        if done % 16 == 0 {
            check(&mut w, rounds, &list, done * workers);
            check(&mut w, own, &mine, done);
        }
        if w.reduce_max(&[stop]).unwrap()[0] == 1 {
            break;
        }
    }
    check(&mut w, rounds, &list, done * workers);
    check(&mut w, own, &mine, done);
    w.finish().unwrap();
    done
}

fn push(w: &mut Worker, table: TableId, keys: &KeyList, buffer: &mut Vec<i64>, own: bool) {
    let transfer = w.push(table, keys, std::mem::take(buffer));
    let transfer = if own { transfer.immediate() } else { transfer };
    let outcome = transfer.wait().unwrap();
    *buffer = outcome.spent.and_then(Values::into_vec).unwrap_or_else(|| vec![1; KEYS]);
}

fn check(w: &mut Worker, table: TableId, keys: &KeyList, want: i64) {
    let got = w.pull(table, keys).wait().unwrap().pulled.and_then(Values::into_vec::<i64>).unwrap();
    assert!(got.iter().all(|&v| v == want), "expected {want} everywhere, got {:?}...", &got[..4]);
}

pub fn trials() -> usize {
    std::env::var("HANDCAR_TRIALS").ok().and_then(|n| n.parse().ok()).unwrap_or(4)
}

/// Runs a story against a cluster whose workers push all the time.
pub fn while_pushing(servers: usize, workers: usize, copies: usize, story: impl FnOnce(&mut Cluster, &Watchdog)) {
    while_pushing_on(&[], servers, workers, copies, story);
}

/// The same on hosts: the test's own, then one for each server.
pub fn while_pushing_on(
    hosts: &[Host],
    servers: usize,
    workers: usize,
    copies: usize,
    story: impl FnOnce(&mut Cluster, &Watchdog),
) {
    let mut cluster = Cluster::start(servers, workers, copies, hosts);
    let dog = Watchdog {
        start: Instant::now(),
        stop: AtomicBool::new(false),
        epoch: AtomicU64::new(0),
        past: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        back: AtomicU64::new(0),
        servers: AtomicU64::new(0),
        whole: AtomicBool::new(false),
        longest_us: AtomicU64::new(0),
        pushes: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        let addr = cluster.addr.clone();
        let dog = &dog;
        let threads: Vec<_> = (0..workers)
            .map(|rank| {
                let addr = addr.clone();
                scope.spawn(move || {
                    let config = NodeConfig { rank: Some(rank), ..NodeConfig::default() };
                    let pushed = push_ones(connect_worker(&addr, &config), dog);
                    // Whatever happens, the others end.
                    dog.stop.store(true, Ordering::SeqCst);
                    pushed
                })
            })
            .collect();
        dog.wait("the job to begin", || dog.whole.load(Ordering::SeqCst));
        story(&mut cluster, dog);
        dog.stop.store(true, Ordering::SeqCst);
        let pushed: Vec<i64> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        println!("pushes acknowledged, none lost and none doubled: {pushed:?}");
    });
}

pub fn settled(dog: &Watchdog, servers: usize) {
    dog.wait(&format!("{servers} servers with all copies"), || {
        dog.epoch.load(Ordering::SeqCst) > dog.past.load(Ordering::SeqCst)
            && dog.servers.load(Ordering::SeqCst) == servers as u64
            && dog.whole.load(Ordering::SeqCst)
    });
}

pub fn report(name: &str, mut ms: Vec<f64>) {
    ms.sort_by(f64::total_cmp);
    let at = |q: f64| ms[((ms.len() as f64 * q).ceil() as usize).clamp(1, ms.len()) - 1];
    println!(
        "{name}: {} trials, ms to the next acknowledged push: p50 {:.1} p90 {:.1} p99 {:.1} max {:.1}",
        ms.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    let edges = [10.0, 20.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0, 700.0, 1000.0, 2000.0, f64::MAX];
    let mut low = 0.0;
    for high in edges {
        let count = ms.iter().filter(|&&v| v > low && v <= high).count();
        if count > 0 {
            println!("  {low:>6} .. {high:>6} ms {count:>5}");
        }
        low = high;
    }
}
