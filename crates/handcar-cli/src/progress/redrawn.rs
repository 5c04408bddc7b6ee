//! One line on a terminal that is written anew.

use super::terminal;
use std::io::Write;

/// The last line of a terminal on stderr.
pub struct Redrawn(terminal::Terminal);

impl Redrawn {
    /// It, if stderr is a terminal.
    pub fn stderr() -> Option<Self> {
        terminal::Terminal::stderr().map(Self)
    }

    /// Shows a text in its place, cut to the terminal's width.
    pub fn draw(&self, text: &str) {
        let text: String = text.chars().take(self.0.width.saturating_sub(1)).collect();
        // A courtesy, as all progress is.
        let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
        terminal::set_bar_shown(true);
    }
}
