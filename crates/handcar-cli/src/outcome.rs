//! How a command ended, and the exit status that says so.

use std::{io, process::ExitCode};

/// What became of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// A signal ended it early; what there was has been kept.
    Stopped(i32),
    /// A part of it ended with this status and has said why.
    Child(u8),
}

impl From<Outcome> for ExitCode {
    fn from(o: Outcome) -> Self {
        match o {
            Outcome::Done => Self::SUCCESS,
            Outcome::Stopped(signal) => Self::from(crate::signals::status(signal)),
            Outcome::Child(status) => Self::from(status),
        }
    }
}

/// Tells an error as one chain on stderr: status 2 for a wrong command line, 1 for everything else.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        if let Some(text) = crate::planned::explain(usage) {
            let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
            return ExitCode::from(2);
        }
        // Help and version go to stdout with status 0, usage errors to stderr with status 2.
        let _ = usage.print();
        return ExitCode::from(usage.exit_code() as u8);
    }
    let broken_pipe = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        // Whoever read our output has enough; the status is the shell's for SIGPIPE.
        return ExitCode::from(141);
    }
    let mut text = String::new();
    for part in error.chain() {
        let part = part.to_string();
        // Some errors already hold their source's words.
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
    }
    let _ = io::Write::write_all(&mut crate::progress::ClearLine, format!("error: {text}\n").as_bytes());
    ExitCode::FAILURE
}
