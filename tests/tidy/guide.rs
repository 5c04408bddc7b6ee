//! The guide's table of contents and its pages agree.

use crate::markdown::links;
use crate::tree::{expect_none, files, read};
use std::path::Path;

const SOURCE: &str = "docs/book/src";

#[test]
fn the_summary_names_every_page_once() {
    let named = links(&read(Path::new(SOURCE).join("SUMMARY.md")));
    let mut wrong = Vec::new();
    for page in files(SOURCE, &["md"]) {
        let name = page.strip_prefix(SOURCE).expect("beneath the source").display().to_string();
        let times = named.iter().filter(|n| **n == name).count();
        if name != "SUMMARY.md" && times != 1 {
            wrong.push(format!("{name}: named {times} times in SUMMARY.md"));
        }
    }
    expect_none("docs/book", &wrong);
}
