//! The changelog has a place for what comes next and a section for the version in Cargo.toml.

use crate::tree::read;

#[test]
fn the_changelog_has_a_section_for_this_version() {
    let text = read("CHANGELOG.md");
    let version = env!("CARGO_PKG_VERSION");
    let has = |title: &str| text.lines().any(|l| l.strip_prefix("## ").is_some_and(|l| l.starts_with(title)));
    assert!(has("Unreleased") || has(version), "CHANGELOG.md: expected `## Unreleased` or `## {version}`");
}
