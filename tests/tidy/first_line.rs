//! Reader's order: a file says in its first line what it holds.

use crate::tree::{expect_none, read, rust_files};

#[test]
fn every_rust_file_opens_with_its_summary() {
    let silent = rust_files().into_iter().filter(|f| !read(f).starts_with("//! "));
    let wrong: Vec<_> = silent.map(|f| f.display().to_string()).collect();
    expect_none("expected `//! ...` as the first line", &wrong);
}
