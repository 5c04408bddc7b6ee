//! The project speaks only of itself: no paths of one machine, no data that does not ship.

use crate::tree::{expect_none, files, read};
use std::path::Path;

const TEXT: [&str; 10] = ["rs", "md", "toml", "py", "pyi", "sh", "txt", "yml", "yaml", "json"];

/// Data beside the repository may be read by tests and benchmarks, which skip without it.
fn may_read_data_beside(file: &Path) -> bool {
    let name = file.display().to_string();
    ["tests", "benches", "docs/benchmarks.md"].iter().any(|f| file.starts_with(f)) || name.contains("/tests/")
}

#[test]
fn no_file_names_one_machine_or_data_that_does_not_ship() {
    // Split so that this file does not name them either.
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let beside = concat!("../sha", "red");
    let mut wrong = Vec::new();
    for file in files("", &TEXT) {
        for (n, line) in read(&file).lines().enumerate() {
            let named = machine.iter().find(|m| line.contains(**m)).copied();
            // Inside a file under src, unit tests may read such data: they end the file.
            let data =
                (line.contains(beside) && !may_read_data_beside(&file) && !in_unit_tests(&file, n)).then_some(beside);
            for what in named.into_iter().chain(data) {
                wrong.push(format!("{}:{}: {what}", file.display(), n + 1));
            }
        }
    }
    expect_none("a name that means nothing on another machine", &wrong);
}

fn in_unit_tests(file: &Path, line: usize) -> bool {
    read(file).lines().position(|l| l.trim_start().starts_with("#[cfg(test)]")).is_some_and(|start| line > start)
}
