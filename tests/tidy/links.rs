//! Links inside the repository lead somewhere.

use crate::markdown::links;
use crate::tree::{expect_none, files, read, root};

/// Pages that the index announces and that are still being written.
const PROMISED: [&str; 0] = [];

#[test]
fn relative_links_in_every_page_exist() {
    let mut wrong = Vec::new();
    for page in files("", &["md"]) {
        let folder = page.parent().expect("a file has a folder");
        for link in links(&read(&page)) {
            let target = link.split('#').next().unwrap_or("");
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !PROMISED.contains(&target) && !root().join(folder).join(target).exists() {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    expect_none("a link that leads nowhere", &wrong);
}
