//! Decision pages are numbered without gaps, and the index names each of them.

use crate::markdown::links;
use crate::tree::{expect_none, files, read};

#[test]
fn the_index_is_numbered_without_gaps_and_names_every_page() {
    let indexed = links(&read("docs/decisions/README.md"));
    let mut wrong = Vec::new();
    for (n, page) in indexed.iter().enumerate() {
        if !page.starts_with(&format!("{n:04}-")) {
            wrong.push(format!("README.md: {page}: expected number {n:04}"));
        }
    }
    for file in files("docs/decisions", &["md"]) {
        let page = file.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if page == "README.md" {
            continue;
        }
        if !indexed.iter().any(|link| link == page) {
            wrong.push(format!("{page}: not in docs/decisions/README.md"));
        }
        let number = &page[..page.len().min(4)];
        if !read(&file).starts_with(&format!("# {number}: ")) {
            wrong.push(format!("{page}: expected the first line to start with `# {number}: `"));
        }
    }
    expect_none("docs/decisions", &wrong);
}
