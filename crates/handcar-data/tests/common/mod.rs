//! Helpers of the tests.
#![allow(dead_code)]

use handcar_data::{CachePolicy, Dataset, ReadOptions, Result, read};
use std::path::{Path, PathBuf};

/// Options that leave no cache behind.
pub fn uncached() -> ReadOptions {
    ReadOptions { cache: CachePolicy::off(), ..Default::default() }
}

/// A file of the data that lies beside the project; prints and gives `None` where it is absent.
pub fn beside(name: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/beside");
    let path = root.join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path.display().to_string())
}

/// The data that ships.
pub fn adult() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/adult.csv.gz").display().to_string()
}

/// Writes a file into a directory.
pub fn write(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Reads text as a file of this name.
pub fn read_text(name: &str, content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    read(&[write(dir.path(), name, content).display().to_string()], options)
}

/// Everything a data set holds, for comparing.
pub fn content(d: &Dataset) -> String {
    let blocks: Vec<String> = d.blocks().iter().map(|b| format!("{b:?}")).collect();
    let names: Vec<String> = (0..d.keys().len()).map(|i| d.name_of(i)).collect();
    let text = format!("{:?}{:?}{:?}{:?}{blocks:?}{names:?}", d.labels(), d.weights(), d.keys(), d.csr());
    format!("{:?} {:x}", d.schema(), handcar_base::hash::bytes128(text.as_bytes()))
}
