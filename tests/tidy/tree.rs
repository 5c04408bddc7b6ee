//! The repository as a tree of text files.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Folders that hold no source of ours.
const SKIPPED: [&str; 8] =
    ["target", ".git", ".venv", "node_modules", "__pycache__", ".pytest_cache", ".ruff_cache", "build"];

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The text of a file, named from the root.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: expected a readable UTF-8 file, got: {e}", path.display()))
}

/// Every file beneath `folder` with one of these extensions, named from the root, sorted. Absent folders are empty.
pub fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut |path| {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if extensions.contains(&extension) {
            found.push(path.strip_prefix(root()).expect("walk starts at the root").to_path_buf());
        }
    });
    found.sort();
    found
}

/// Every Rust file of the repository.
pub fn rust_files() -> Vec<PathBuf> {
    files("", &["rs"])
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !SKIPPED.iter().any(|s| name == *s) {
            walk(&path, visit);
        } else if kind.is_file() {
            visit(&path);
        }
    }
}

/// The `handcar` command built beside this test, if any: `cargo test --workspace` builds it, `-p handcar-tests` does not.
pub fn handcar() -> Option<PathBuf> {
    let here = env::current_exe().ok()?;
    let path = here.parent()?.parent()?.join(format!("handcar{}", env::consts::EXE_SUFFIX));
    path.is_file().then_some(path)
}

/// Fails with one line for each complaint.
#[track_caller]
pub fn expect_none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

#[test]
fn the_walk_finds_this_file_and_skips_what_is_built() {
    let found = rust_files();
    assert!(found.contains(&PathBuf::from("tests/tidy/tree.rs")));
    assert!(found.iter().all(|p| !p.starts_with("target")));
}
