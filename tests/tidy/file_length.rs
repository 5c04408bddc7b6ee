//! One concept a file: past 400 lines there are usually two.

use crate::tree::{expect_none, read, rust_files};
use std::path::Path;

/// Typical is 60 to 200.
const LINES_MAX: usize = 400;

/// Longer files, and why each is one idea all the same.
const ALLOWED: [(&str, &str); 0] = [];

#[test]
fn long_files_have_a_reason() {
    let long: Vec<_> =
        rust_files().into_iter().map(|f| (read(&f).lines().count(), f)).filter(|(n, _)| *n > LINES_MAX).collect();
    let mut wrong = Vec::new();
    for (lines, file) in &long {
        if !ALLOWED.iter().any(|(path, _)| file == Path::new(path)) {
            wrong.push(format!("{}: {lines} lines; split it, or give the reason in ALLOWED", file.display()));
        }
    }
    for (path, _) in ALLOWED {
        if !long.iter().any(|(_, file)| file == Path::new(path)) {
            wrong.push(format!("{path}: no longer above {LINES_MAX} lines; take it off ALLOWED"));
        }
    }
    expect_none("one concept a file", &wrong);
}
