//! What a person watches on stderr while a run goes on.

pub mod bar;
mod busy;
pub mod columns;
mod redrawn;
mod terminal;

pub use busy::Busy;
pub use columns::{Line, Online, grouped, significant};
pub use redrawn::Redrawn;
pub use terminal::ClearLine;

use columns::Column;
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// A pass shorter than this never shows a bar.
const BAR_AFTER: Duration = Duration::from_millis(400);
/// The bar is redrawn at most this often.
const BAR_EVERY: Duration = Duration::from_millis(80);
/// Passes may be shorter than a person can read: lines come at most this often. The last one always comes, and the
/// report has all.
const LINE_EVERY: Duration = Duration::from_millis(100);
/// The titles are repeated after this many lines on a terminal.
const TITLES_EVERY: u64 = 40;

/// A table of passes with a bar inside long ones; lines without a bar when stderr is no terminal; nothing under
/// `--quiet`.
pub struct Progress {
    out: Option<Out>,
}

struct Out {
    /// Of batch solvers, and of those that learn row by row.
    columns: [Vec<&'static Column>; 2],
    /// Which of them the last line had.
    online: bool,
    terminal: Option<terminal::Terminal>,
    lines: u64,
    pass: u64,
    pass_began: Instant,
    drawn: Option<Instant>,
    line_shown: Option<Instant>,
    line_held: Option<Line>,
}

impl Progress {
    /// Progress on stderr; `validation` adds measures on other rows. `classes`: whether labels are classes, not numbers.
    pub fn new(quiet: bool, validation: bool, classes: bool) -> Self {
        let out = (!quiet).then(|| {
            let terminal = terminal::Terminal::stderr();
            let width = terminal.as_ref().map(|t| t.width);
            Out {
                columns: [false, true].map(|online| columns::choose(online, validation, classes, width)),
                online: false,
                terminal,
                lines: 0,
                pass: 1,
                pass_began: Instant::now(),
                drawn: None,
                line_shown: None,
                line_held: None,
            }
        });
        Self { out }
    }

    /// Tells a sentence above the table.
    pub fn say(&mut self, text: &str) {
        if let Some(out) = &mut self.out {
            out.write(&format!("{text}\n"));
        }
    }

    /// Begins another table, under a title.
    pub fn section(&mut self, title: &str) {
        if let Some(out) = &mut self.out {
            if let Some(line) = out.line_held.take() {
                out.show(&line);
            }
            (out.lines, out.pass, out.pass_began, out.line_shown) = (0, 1, Instant::now(), None);
            out.write(&format!("{title}\n"));
        }
    }

    /// Shows `what` and the time it takes until the result is dropped.
    pub fn busy(&self, what: &str) -> Busy {
        Busy::start(what, self.out.is_some())
    }

    /// The running pass begins now.
    pub fn begin(&mut self) {
        if let Some(out) = &mut self.out {
            out.pass_began = Instant::now();
        }
    }

    /// Adds the line of a finished pass.
    pub fn line(&mut self, line: &Line) {
        if let Some(out) = &mut self.out {
            out.line(line);
        }
    }

    /// Redraws the bar of the running pass: `done` in [0, 1].
    pub fn within(&mut self, done: f64) {
        if let Some(out) = &mut self.out {
            out.within(|out, t, elapsed| bar::draw(out.pass, done, elapsed, t.width, t.unicode));
        }
    }

    /// Tells of a Newton step that follows the running pass, and the gap so far.
    pub fn newton(&mut self, step: u64, gap: f64) {
        if let Some(out) = &mut self.out {
            out.within(|out, t, _| bar::newton(out.pass, step, gap, t.width));
        }
    }
}

impl Out {
    fn line(&mut self, line: &Line) {
        // The last line of one kind comes before the first of another.
        if let Some(held) = self.line_held.take_if(|h| h.online.is_some() != line.online.is_some()) {
            self.show(&held);
        }
        if self.line_shown.is_some_and(|t| t.elapsed() < LINE_EVERY) {
            self.line_held = Some(*line);
        } else {
            self.show(line);
        }
        if line.objective.is_some() {
            self.pass = line.pass + 1;
            self.pass_began = Instant::now();
        }
    }

    fn show(&mut self, line: &Line) {
        // Another kind of solver has other columns.
        if std::mem::replace(&mut self.online, line.online.is_some()) != self.online {
            self.lines = 0;
        }
        let row = self.row(|c| c.cell(line));
        let repeat = if self.terminal.is_some() { self.lines.is_multiple_of(TITLES_EVERY) } else { self.lines == 0 };
        let titles = if repeat { self.titles() } else { String::new() };
        self.write(&format!("{titles}{row}\n"));
        self.lines += 1;
        self.line_shown = Some(Instant::now());
        self.line_held = None;
    }

    fn titles(&self) -> String {
        let titles = self.row(|c| c.title.to_string());
        match &self.terminal {
            Some(t) if t.colour => format!("\x1b[1m{titles}\x1b[0m\n"),
            _ => format!("{titles}\n"),
        }
    }

    fn row(&self, cell: impl Fn(&Column) -> String) -> String {
        let cells: Vec<String> = self.columns[self.online as usize]
            .iter()
            .map(|c| format!("{:>width$}", cell(c), width = c.width))
            .collect();
        cells.join("  ")
    }

    fn within(&mut self, draw: impl Fn(&Self, &terminal::Terminal, Duration) -> String) {
        let Some(terminal) = &self.terminal else { return };
        let elapsed = self.pass_began.elapsed();
        if elapsed < BAR_AFTER || self.drawn.is_some_and(|t| t.elapsed() < BAR_EVERY) {
            return;
        }
        let line = draw(self, terminal, elapsed);
        // Progress is a courtesy: a closed stderr must not end a training run.
        let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
        self.drawn = Some(Instant::now());
        terminal::set_bar_shown(true);
    }

    fn write(&mut self, text: &str) {
        self.drawn = None;
        // As above: nothing depends on whether anyone is watching.
        let _ = ClearLine.write_all(text.as_bytes());
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        match self.line_held.take() {
            Some(line) => self.show(&line),
            None => self.write(""),
        }
    }
}
