//! The trace: a hash of everything that happens, and words for people if they want them.

use handcar_base::hash;

/// Lines kept of the end of a story.
const LINES_MAX: usize = 400_000;

#[derive(Debug)]
pub(super) struct Story {
    hash: u64,
    tell: bool,
    lines: std::collections::VecDeque<String>,
}

impl Story {
    pub fn new(tell: bool) -> Self {
        Self { hash: 0, tell, lines: std::collections::VecDeque::new() }
    }

    /// Adds to the trace what must be equal in every run of the seed.
    pub fn mark(&mut self, numbers: [u64; 4], what: &str) {
        let mut bytes = [0u8; 32];
        for (to, n) in bytes.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&n.to_le_bytes());
        }
        self.hash = hash::bytes(&bytes, hash::bytes(what.as_bytes(), self.hash));
    }

    pub fn tell(&mut self, now_us: u64, line: impl FnOnce() -> String) {
        if self.tell {
            if self.lines.len() == LINES_MAX {
                self.lines.pop_front();
            }
            self.lines.push_back(format!("{:>12.6} s  {}", now_us as f64 / 1e6, line()));
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
