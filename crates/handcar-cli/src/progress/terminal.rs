//! What stderr can show.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

/// A terminal on stderr.
pub struct Terminal {
    /// Letters in a line.
    pub width: usize,
    /// Whether it shows letters beyond ASCII.
    pub unicode: bool,
    /// Whether colour is welcome (`NO_COLOR` unset).
    pub colour: bool,
}

impl Terminal {
    /// The terminal behind stderr, if there is one that understands control sequences.
    pub fn stderr() -> Option<Self> {
        let dumb = env::var_os("TERM").is_none_or(|t| t == "dumb");
        if dumb || !io::stderr().is_terminal() {
            return None;
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|k| env::var(k).ok().filter(|v| !v.is_empty()));
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let unicode = locale.contains("utf-8") || locale.contains("utf8");
        Some(Self { width: width().unwrap_or(80), unicode, colour: env::var_os("NO_COLOR").is_none() })
    }
}

#[cfg(unix)]
fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col as usize)
}

#[cfg(not(unix))]
fn width() -> Option<usize> {
    None
}

static BAR_SHOWN: AtomicBool = AtomicBool::new(false);

/// Notes whether a bar stands on the last line.
pub fn set_bar_shown(shown: bool) {
    BAR_SHOWN.store(shown, Ordering::Relaxed);
}

/// Stderr for whole lines: wipes a bar that stands on the line first. Logs and the table both write through it.
#[derive(Clone, Copy)]
pub struct ClearLine;

impl Write for ClearLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut err = io::stderr().lock();
        if BAR_SHOWN.swap(false, Ordering::Relaxed) {
            err.write_all(b"\r\x1b[2K")?;
        }
        err.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
