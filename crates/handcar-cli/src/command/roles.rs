//! `handcar scheduler`, `server`, `worker`: the processes that launchers start.

use super::{General, job::Job};
use crate::{args::factor, outcome::Outcome};
use anyhow::Result;
use clap::Args;
use handcar_ps::driver::net::{self, LossHook, NodeConfig, SchedulerConfig};
use handcar_train::job;
use signal_hook::consts::SIGTERM;
use std::{
    ffi::OsString,
    io::{self, Read, Write},
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

/// What a worker may take to end by itself after a loss; all of a job must have ended within 2 seconds.
const GRACE: Duration = Duration::from_millis(800);

/// Where a role listens.
#[derive(Args, Debug)]
struct ListenArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: String,
    /// Allow an address that other machines can reach: there is no encryption and no authentication yet
    #[arg(long)]
    insecure_listen: bool,
}

/// What every role has.
#[derive(Args, Debug)]
struct RoleArgs {
    /// End when standard input ends, as it does when the launcher is gone
    #[arg(long, hide = true)]
    die_with_parent: bool,
}

/// Run the scheduler of a job: who takes part, who is alive.
#[derive(Args, Debug)]
pub struct SchedulerArgs {
    #[command(flatten)]
    listen: ListenArgs,
    /// Servers to wait for
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    servers: u16,
    /// Workers to wait for
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Copies of each key in all: with K, up to K - 1 servers at a time may be lost
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    replicas: u16,
    /// Workers may join and leave the running job, and be lost: for programs that share passes in portions, not for fit
    #[arg(long)]
    elastic: bool,
    /// Folder for the scheduler's state: started again with it, at the same address, it takes over the running job
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    role: RoleArgs,
}

/// Run a server of a job: it owns a share of the keys.
///
/// Started while the job runs, it takes over keys from the others. SIGTERM makes it leave: its keys go to the others
/// first, if there are any.
#[derive(Args, Debug)]
pub struct ServerArgs {
    /// Address of the scheduler
    #[arg(long, value_name = "ADDR:PORT")]
    scheduler: String,
    /// Rank among the servers, from 0; the scheduler gives one unless it is named
    #[arg(long, value_name = "N")]
    rank: Option<usize>,
    /// Address under which workers reach this server [default: the one it listens on]
    #[arg(long, value_name = "ADDR:PORT")]
    advertise: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    role: RoleArgs,
}

/// Run a worker of a job: it reads its share of the rows and trains; the first one writes the model.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Address of the scheduler
    #[arg(long, value_name = "ADDR:PORT")]
    scheduler: String,
    /// Rank among the workers, from 0; the scheduler gives one unless it is named
    #[arg(long, value_name = "N")]
    rank: Option<usize>,
    /// Workers on this machine, which divide its cores unless the job says --threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    share_cores: usize,
    /// Take this many times as long as possible for each batch, to measure what that does to the others
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    slow: Option<f64>,
    #[command(flatten)]
    role: RoleArgs,
    /// The job: fit and its options, behind --
    #[arg(value_name = "JOB", required = true, last = true)]
    job: Vec<OsString>,
}

/// Runs the scheduler.
pub fn scheduler(args: SchedulerArgs) -> Result<Outcome> {
    args.role.watch_parent();
    let listener = args.listen.open()?;
    let config = SchedulerConfig::new(args.workers as usize, args.servers as usize);
    let config =
        SchedulerConfig { state: args.state, elastic: args.elastic, ..config.with_copies(args.replicas as usize) };
    net::run_scheduler(listener, &config)?;
    Ok(Outcome::Done)
}

/// Runs a server.
pub fn server(args: ServerArgs) -> Result<Outcome> {
    args.role.watch_parent();
    let listener = args.listen.open()?;
    let leave = Arc::new(AtomicBool::new(false));
    // The first signal asks, the second ends it at once; the order of registration makes it so.
    signal_hook::flag::register_conditional_default(SIGTERM, leave.clone())?;
    signal_hook::flag::register(SIGTERM, leave.clone())?;
    let leave = Some(leave);
    let config = NodeConfig { rank: args.rank, advertise: args.advertise, leave, ..NodeConfig::default() };
    net::run_server(listener, &args.scheduler, &job::registry(), &config)?;
    Ok(Outcome::Done)
}

/// Runs a worker.
pub fn worker(args: WorkerArgs, general: &General) -> Result<Outcome> {
    args.role.watch_parent();
    let mut job = Job::parse(&args.job)?;
    job.general.quiet |= general.quiet;
    job.fit.share_cores(args.share_cores);
    job.fit.check()?;
    job.fit.check_shared()?;
    if let Some(factor) = args.slow {
        job.fit.slow_down(factor)?;
    }
    let began = Instant::now();
    let config = NodeConfig { rank: args.rank, on_loss: Some(end_soon()), ..NodeConfig::default() };
    let mut worker = net::connect_worker(&args.scheduler, &config)?;
    let outcome = job.fit.train_on(&mut worker, &job.general, began)?;
    worker.finish()?;
    Ok(outcome)
}

/// Ends a worker that computes on after somebody was lost: its own next call would say so, but that may be far off.
fn end_soon() -> LossHook {
    LossHook(Arc::new(|error| {
        let text = error.to_string();
        thread::spawn(move || {
            let until = Instant::now() + GRACE;
            while Instant::now() < until {
                thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
            tracing::error!("{text}");
            #[expect(
                clippy::disallowed_methods,
                reason = "the main thread is deep in a computation that nobody needs"
            )]
            std::process::exit(1);
        });
    }))
}

impl ListenArgs {
    /// Opens the port and tells launchers and people which one it is.
    fn open(&self) -> Result<TcpListener> {
        let listener = net::listen(&self.listen, self.insecure_listen)?;
        let addr = listener.local_addr()?;
        let mut out = io::stdout();
        // Nobody need be reading.
        let _ = writeln!(out, "listening {addr}").and_then(|()| out.flush());
        Ok(listener)
    }
}

impl RoleArgs {
    /// The launcher holds the other end of standard input and writes nothing: its end is the launcher's end.
    fn watch_parent(&self) {
        if !self.die_with_parent {
            return;
        }
        thread::spawn(end_with_stdin);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the job's threads cannot be asked; what they write is renamed when whole"
)]
fn end_with_stdin() {
    let mut nothing = [0; 64];
    while !matches!(io::stdin().lock().read(&mut nothing), Ok(0) | Err(_)) {}
    // Nobody may be left to read this.
    let _ = io::stderr().write_all(b"error: the launcher is gone\n");
    std::process::exit(1);
}
