//! The processes of a job: started together, watched together, ended together.

use crate::progress::ClearLine;
use anyhow::{Context, Result};
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How often the processes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One process.
pub struct Member {
    /// What it is called in messages: `server 1`.
    pub name: String,
    child: Child,
    /// Held open: a member whose standard input ends knows that the launcher is gone.
    _life_line: Option<ChildStdin>,
    relay: Option<JoinHandle<()>>,
    ended: Option<ExitStatus>,
    /// Whether the launcher itself killed it.
    killed: bool,
}

/// All processes of a job, killed when dropped.
#[derive(Default)]
pub struct Children {
    members: Vec<Member>,
}

/// What a member's output does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Goes where the launcher's goes.
    Through,
    /// Error lines appear behind the member's name; standard output goes nowhere.
    Named,
    /// As `Named`, and standard output comes back to the launcher.
    Caught,
}

impl Children {
    /// Starts this very program as a member of the job. With [`Show::Caught`], returns its standard output.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(&mut self, name: &str, args: Vec<OsString>, show: Show) -> Result<Option<ChildStdout>> {
        let program = std::env::current_exe().context("find the handcar program itself")?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped());
        if show != Show::Through {
            command.stderr(Stdio::piped());
            command.stdout(if show == Show::Caught { Stdio::piped() } else { Stdio::null() });
        }
        // A group of its own: Ctrl-C in the terminal reaches the launcher only, which tells the workers.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let relay = child.stderr.take().map(|err| {
            let name = name.to_string();
            thread::spawn(move || relay(&name, BufReader::new(err)))
        });
        let (life_line, out) = (child.stdin.take(), child.stdout.take());
        let name = name.to_string();
        self.members.push(Member { name, child, _life_line: life_line, relay, ended: None, killed: false });
        Ok(out)
    }

    /// Sends a signal to the running members whose name begins with `prefix`.
    pub fn signal(&self, prefix: &str, signal: i32) {
        for m in self.members.iter().filter(|m| m.ended.is_none() && m.name.starts_with(prefix)) {
            m.signal(signal);
        }
    }

    /// Looks at every member once; returns the ones that ended badly, by their own doing, since the last look.
    pub fn look(&mut self) -> Result<Vec<(String, ExitStatus)>> {
        let mut failed = Vec::new();
        for m in self.members.iter_mut().filter(|m| m.ended.is_none()) {
            m.ended = m.child.try_wait().with_context(|| format!("watch {}", m.name))?;
            if let Some(status) = m.ended.filter(|s| !s.success() && !m.killed) {
                failed.push((m.name.clone(), status));
            }
        }
        Ok(failed)
    }

    /// Whether all members whose name begins with `prefix` have ended.
    pub fn all_ended(&self, prefix: &str) -> bool {
        self.members.iter().filter(|m| m.name.starts_with(prefix)).all(|m| m.ended.is_some())
    }

    /// How the member of this name ended.
    pub fn ended(&self, name: &str) -> Option<ExitStatus> {
        self.members.iter().find(|m| m.name == name).and_then(|m| m.ended)
    }

    /// Gives the members time to end by themselves, then kills the rest; returns who failed meanwhile.
    pub fn finish(&mut self, patience: Duration) -> Result<Vec<(String, ExitStatus)>> {
        let began = Instant::now();
        let mut failed = self.look()?;
        while !self.all_ended("") && began.elapsed() < patience {
            pause();
            failed.extend(self.look()?);
        }
        self.kill();
        Ok(failed)
    }

    fn kill(&mut self) {
        for m in self.members.iter_mut().filter(|m| m.ended.is_none()) {
            m.killed = true;
            // It may have ended this instant: then there is nothing left to do.
            let _ = m.child.kill();
            m.ended = m.child.wait().ok();
        }
        for m in &mut self.members {
            if let Some(relay) = m.relay.take() {
                // A relay that panicked has lost lines of a log, nothing else.
                let _ = relay.join();
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Member {
    #[cfg(unix)]
    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let signal = rustix::process::Signal::from_named_raw(signal);
        if let (Some(pid), Some(signal)) = (pid, signal) {
            // The child is not yet waited for, so the id is still its own; it may be a zombie, which is as good.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    #[cfg(not(unix))]
    fn signal(&self, _: i32) {}
}

/// Waits until the next look.
#[expect(clippy::disallowed_methods, reason = "the standard library cannot wait for several children with a deadline")]
pub fn pause() {
    thread::sleep(LOOK_EVERY);
}

/// How a process ended, in words.
pub fn describe(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("was ended by signal {signal}");
    }
    match status.code() {
        Some(code) => format!("ended with status {code}"),
        None => "ended badly".to_string(),
    }
}

/// Whether a signal ended it: then it is a cause, where a plain failure may be a consequence.
pub fn by_signal(status: ExitStatus) -> bool {
    status.code().is_none()
}

fn relay(name: &str, lines: impl BufRead) {
    for line in lines.split(b'\n') {
        let Ok(line) = line else { break };
        let text = format!("{name}: {}\n", String::from_utf8_lossy(&line));
        // If our own stderr is closed, the member must still be able to write.
        let _: io::Result<()> = ClearLine.write_all(text.as_bytes());
    }
}
