//! What can be wrong with data, and where.

use std::path::PathBuf;

/// An error of reading, packing or caching data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A row is not what the format promises.
    #[error("{file}, line {line}{}: expected {expected}, got {got}", .column.as_ref().map(|c| format!(", column {c}")).unwrap_or_default())]
    Row {
        /// The file, `-` for standard input.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column: a name, or a number from 1.
        column: Option<String>,
        /// What a valid row has there.
        expected: String,
        /// What was found.
        got: String,
    },
    /// A header does not have what the schema or the options ask for.
    #[error("{file}: expected {expected}, got {got}")]
    Header {
        /// The file.
        file: String,
        /// What was asked for.
        expected: String,
        /// What the header has.
        got: String,
    },
    /// The operating system or a decompressor refused.
    #[error("{op} {}: {source}{}", .path.display(), advice(.source))]
    Io {
        /// The operation.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// No file has this name or matches this pattern.
    #[error("input: expected a file or pattern that matches one, got {pattern}")]
    NoInput {
        /// The pattern.
        pattern: String,
    },
    /// There is not one row.
    #[error("{file}: expected at least one row, got none")]
    Empty {
        /// The file, or all of them.
        file: String,
    },
    /// An option that does not fit the data or another option.
    #[error("option {option}: expected {expected}, got {got}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is accepted.
        expected: String,
        /// What was given.
        got: String,
    },
    /// Labels as a whole are not usable.
    #[error("{file}: labels: expected {expected}, got {got}")]
    Labels {
        /// The file, or all of them.
        file: String,
        /// What is accepted.
        expected: String,
        /// What was found.
        got: String,
    },
    /// A matrix handed in from memory is malformed.
    #[error("from_csr: expected {expected}, got {got}")]
    Matrix {
        /// What is accepted.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A packed file is from another version, cut off or damaged.
    #[error("cache file {}: expected {expected}, got {got}", .path.display())]
    Pack {
        /// The file.
        path: PathBuf,
        /// What is accepted.
        expected: String,
        /// What was found.
        got: String,
    },
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, DataError>;

impl DataError {
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }
}

fn advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::UnexpectedEof => " (is the compressed file cut off?)",
        std::io::ErrorKind::StorageFull => " (the disk is full)",
        _ => "",
    }
}

/// A bad row inside a chunk: the chunk's caller knows file and first line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RowError {
    /// Lines before this one in the chunk.
    pub line: u64,
    pub column: Option<String>,
    pub expected: String,
    pub got: String,
}

impl RowError {
    pub fn new(column: impl Into<Option<String>>, expected: impl Into<String>, got: &[u8]) -> Self {
        Self { line: 0, column: column.into(), expected: expected.into(), got: quote(got) }
    }

    pub fn place(self, file: &str, first_line: u64) -> DataError {
        let Self { line, column, expected, got } = self;
        DataError::Row { file: file.into(), line: first_line + line, column, expected, got }
    }
}

/// Bytes as a person reads them: quoted, at most 40 of them.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let shown: String = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).escape_debug().collect();
    let cut = if bytes.len() > 40 { "…" } else { "" };
    if bytes.is_empty() { "nothing".into() } else { format!("\"{shown}{cut}\"") }
}
