//! `handcar launch local`: scheduler, servers and workers as processes of this machine, over loopback.

use super::children::{Children, Show, by_signal, describe, pause};
use crate::{
    args::factor,
    command::{General, job::Job},
    outcome::Outcome,
    progress::ClearLine,
    signals::Stop,
};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::ExitStatus,
    time::Duration,
};
use tempfile::TempDir;

/// After the first failure the others have this long to say what they lost before they are killed.
const LAST_WORDS: Duration = Duration::from_millis(2500);
/// Processes that are started in the place of lost ones: if more are lost, something else is wrong.
const REPLACED_MAX: usize = 100;
/// After the workers are done, servers and scheduler have this long to end.
const GOOD_BYE: Duration = Duration::from_secs(5);

/// Scheduler, servers and workers as processes of this machine.
#[derive(Args, Debug)]
pub struct LocalArgs {
    /// Server processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    servers: u16,
    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// Copies of each key in all: with K, up to K - 1 servers at a time may be lost; others take their place
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    replicas: u16,
    /// Let the worker of this rank take FACTOR times as long for each batch: to measure what one slow machine does to a job
    #[arg(long, value_name = "RANK:FACTOR", value_parser = slow_worker)]
    slow_worker: Option<SlowWorker>,
    /// The job: fit and its options, behind --
    #[arg(value_name = "JOB", required = true, last = true)]
    job: Vec<OsString>,
}

/// A worker that is slow on purpose.
#[derive(Clone, Copy, Debug)]
struct SlowWorker {
    rank: u16,
    factor: f64,
}

fn slow_worker(text: &str) -> Result<SlowWorker, String> {
    let both = text.split_once(':').and_then(|(rank, by)| Some((rank.parse().ok()?, factor(by).ok()?)));
    let (rank, factor) = both.ok_or("expected RANK:FACTOR, as in 0:10, the factor from 1 to 1000")?;
    Ok(SlowWorker { rank, factor })
}

/// Runs the command.
pub fn run(args: LocalArgs, general: &General) -> Result<Outcome> {
    let mut job = Job::parse(&args.job)?;
    job.fit.check_shared()?;
    if let Some(slow) = args.slow_worker {
        ensure!(
            slow.rank < args.workers,
            "--slow-worker: expected a rank below {}, the number of --workers, got {}",
            args.workers,
            slow.rank
        );
        job.fit.slow_down(slow.factor)?;
    }
    ensure!(
        args.replicas <= args.servers,
        "launch local: expected at most as many --replicas as --servers, got {} of {}",
        args.replicas,
        args.servers
    );
    ensure!(
        !job.fit.input.reads_stdin(),
        "launch local: expected files as inputs, got -: standard input cannot be shared by several workers"
    );
    // Packed once here, so that the workers find the cache instead of each parsing the text; and so that bad input is
    // told once, before anything is started.
    job.fit.warm_cache(general.quiet || job.general.quiet)?;
    let stop = Stop::install()?;
    let mut launch = Launch {
        args: &args,
        general,
        children: Children::default(),
        state: (args.replicas > 1).then(tempfile::tempdir).transpose().context("make a folder for the scheduler")?,
        scheduler: "127.0.0.1:0".into(),
        servers: args.servers as usize,
        replaced: 0,
    };
    launch.start()?;
    launch.watch(&stop)
}

struct Launch<'a> {
    args: &'a LocalArgs,
    general: &'a General,
    children: Children,
    /// Where the scheduler keeps what another one needs to take its place.
    state: Option<TempDir>,
    /// Where it listens.
    scheduler: String,
    /// Servers started so far: each has a number of its own.
    servers: usize,
    /// Processes that took the place of lost ones.
    replaced: usize,
}

impl Launch<'_> {
    fn words(&self, words: &[&str]) -> Vec<OsString> {
        let shared: [OsString; 3] =
            ["--die-with-parent".into(), "--log-level".into(), (&self.general.log_level).into()];
        words.iter().map(OsString::from).chain(shared).collect()
    }

    /// Starts the scheduler, at its old address if it had one.
    fn start_scheduler(&mut self) -> Result<()> {
        let args = self.args;
        let (servers, workers, replicas) =
            (args.servers.to_string(), args.workers.to_string(), args.replicas.to_string());
        let mut words = self.words(&["scheduler", "--listen", &self.scheduler, "--servers", &servers]);
        words.extend(["--workers", &workers, "--replicas", &replicas].map(OsString::from));
        if let Some(state) = &self.state {
            words.extend(["--state".into(), state.path().into()]);
        }
        let out = self.children.start("scheduler", words, Show::Caught)?.context("scheduler: no standard output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).context("read the scheduler's address")?;
        match line.trim().strip_prefix("listening ").map(str::parse::<SocketAddr>) {
            Some(Ok(addr)) => self.scheduler = addr.to_string(),
            _ => {
                let failed = self.children.finish(LAST_WORDS)?;
                bail!("launch local: the scheduler did not start{}", blame(&failed));
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<()> {
        self.start_scheduler()?;
        let (args, general, addr) = (self.args, self.general, self.scheduler.clone());
        let workers = args.workers.to_string();
        for rank in 0..args.servers {
            let name = format!("server {rank}");
            let words = self.words(&["server", "--scheduler", &addr, "--rank", &rank.to_string()]);
            self.children.start(&name, words, Show::Named)?;
        }
        for rank in 0..args.workers {
            let name = format!("worker {rank}");
            let rank_text = rank.to_string();
            let mut job =
                self.words(&["worker", "--scheduler", &addr, "--rank", &rank_text, "--share-cores", &workers]);
            if general.quiet {
                job.push("--quiet".into());
            }
            if let Some(slow) = args.slow_worker.filter(|slow| slow.rank == rank) {
                job.extend(["--slow".into(), slow.factor.to_string().into()]);
            }
            job.push("--".into());
            job.extend(args.job.iter().cloned());
            self.children.start(&name, job, if rank == 0 { Show::Through } else { Show::Named })?;
        }
        Ok(())
    }

    /// Starts another process in the place of one that a signal ended. Whether the job survived the loss is the scheduler's
    /// to say; if not, the workers end and say why.
    fn replace(&mut self, name: &str, status: ExitStatus) -> Result<bool> {
        let recoverable = self.state.is_some() && self.replaced < REPLACED_MAX;
        if !recoverable || !(name == "scheduler" && by_signal(status) || name.starts_with("server")) {
            return Ok(false);
        }
        self.replaced += 1;
        if !self.general.quiet {
            // Standard error is where progress goes; if it is closed, nobody reads this either.
            let _ = writeln!(ClearLine, "launch local: {name} {}; another takes its place", describe(status));
        }
        if name == "scheduler" {
            self.start_scheduler()?;
            return Ok(true);
        }
        let name = format!("server {}", self.servers);
        self.servers += 1;
        let words = self.words(&["server", "--scheduler", &self.scheduler]);
        self.children.start(&name, words, Show::Named)?;
        Ok(true)
    }

    fn watch(mut self, stop: &Stop) -> Result<Outcome> {
        let mut told = None;
        loop {
            if let (None, Some(signal)) = (told, stop.signal()) {
                // Workers agree among themselves to stop, save the model so far, and leave; the others follow them.
                self.children.signal("worker", signal);
                told = Some(signal);
            }
            let mut failed = self.children.look()?;
            if told.is_some() {
                // Asked to stop, a worker ends with the signal's status: that is no failure.
                failed.retain(|(_, status)| status.code() != told.map(|s| crate::signals::status(s) as i32));
            }
            // When the workers are done nothing needs to be replaced.
            if self.state.is_some() && !self.children.all_ended("worker") {
                let mut fatal = Vec::new();
                for (name, status) in failed {
                    if !self.replace(&name, status)? {
                        fatal.push((name, status));
                    }
                }
                failed = fatal;
            } else if self.state.is_some() {
                failed.retain(|(name, _)| name.starts_with("worker"));
            }
            if !failed.is_empty() {
                failed.extend(self.children.finish(LAST_WORDS)?);
                bail!("launch local: the job ended{}", blame(&failed));
            }
            if self.children.all_ended("worker") {
                break;
            }
            pause();
        }
        let mut failed = self.children.finish(GOOD_BYE)?;
        if self.state.is_some() {
            // One that was about to take a place when the job ended.
            failed.retain(|(name, _)| name.starts_with("worker"));
        }
        ensure!(
            failed.is_empty(),
            "launch local: the workers are done, but the job did not end well{}",
            blame(&failed)
        );
        let status = self.children.ended("worker 0").and_then(|s| s.code()).unwrap_or(1);
        Ok(match (told, status) {
            (_, 0) => Outcome::Done,
            (Some(signal), _) => Outcome::Stopped(signal),
            (None, status) => Outcome::Child(u8::try_from(status).unwrap_or(1)),
        })
    }
}

/// Who failed first: one that a signal ended, or else the first that failed; the others failed because of it.
fn blame(failed: &[(String, ExitStatus)]) -> String {
    let cause = failed.iter().find(|(_, s)| by_signal(*s)).or(failed.first());
    cause.map_or(String::new(), |(name, status)| format!(": {name} {}", describe(*status)))
}
