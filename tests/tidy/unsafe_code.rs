//! Unsafe code lives in handcar-kernels and in the Python glue, nowhere else.

use crate::code::{lines_with_word, strip};
use crate::tree::{expect_none, files, read, rust_files};
use std::path::Path;

const HOMES: [&str; 2] = ["crates/handcar-kernels", "python"];

#[test]
fn unsafe_stands_only_in_kernels_and_python() {
    let mut wrong = Vec::new();
    for file in rust_files().iter().filter(|f| !HOMES.iter().any(|home| f.starts_with(home))) {
        for line in lines_with_word(&read(file), "unsafe") {
            wrong.push(format!("{}:{line}", file.display()));
        }
    }
    expect_none("unsafe code outside its homes", &wrong);
}

#[test]
fn every_other_crate_forbids_unsafe_code() {
    let mut wrong = Vec::new();
    for file in files("crates", &["rs"]) {
        let top = ["lib.rs", "main.rs"].iter().any(|name| file.ends_with(Path::new("src").join(name)));
        let home = HOMES.iter().any(|home| file.starts_with(home));
        if top && !home && !strip(&read(&file)).contains("#![forbid(unsafe_code)]") {
            wrong.push(file.display().to_string());
        }
    }
    expect_none("a crate root without #![forbid(unsafe_code)]", &wrong);
}
