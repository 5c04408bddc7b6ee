//! Inputs as a stream of chunks of whole lines: files, patterns and standard input, plain, gzip or zstd.

use crate::error::{DataError, Result};
use crate::infer;
use crate::schema::Format;
use crate::stdin::{Stdin, Until};
use handcar_base::hash::Hasher128;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Text per chunk: small enough for a core's second-level cache to hold it and what is parsed from it, large enough to
/// share out.
pub(crate) const CHUNK_BYTES: usize = 256 << 10;
/// No sane row is longer; without a bound a binary file would be read into memory whole.
const LINE_BYTES_MAX: usize = 64 << 20;

/// One input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "-".into(),
            Self::File(p) => p.display().to_string(),
        }
    }

    pub fn file(&self) -> Option<&std::path::Path> {
        match self {
            Self::Stdin => None,
            Self::File(p) => Some(p),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Stdin => "-".into(),
            Self::File(p) => p.clone(),
        }
    }
}

/// Resolves names, patterns and `-`. A pattern's files come in order of their names.
pub(crate) fn expand(inputs: &[String]) -> Result<Vec<Input>> {
    let mut found = Vec::new();
    for pattern in inputs {
        let none = || DataError::NoInput { pattern: pattern.clone() };
        if pattern == "-" {
            found.push(Input::Stdin);
        } else if PathBuf::from(pattern).exists() {
            // A name that exists is taken literally, whatever characters it has.
            found.push(Input::File(pattern.into()));
        } else {
            let matches = glob::glob(pattern).map_err(|_| none())?;
            let before = found.len();
            found.extend(matches.filter_map(|p| p.ok()).filter(|p| p.is_file()).map(Input::File));
            if found.len() == before {
                return Err(none());
            }
        }
    }
    if found.is_empty() {
        return Err(DataError::NoInput { pattern: "no input at all".into() });
    }
    Ok(found)
}

/// Whole lines of one file. The last line may lack its newline.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub file: usize,
    /// Whether the file begins here.
    pub first: bool,
    pub bytes: Vec<u8>,
}

/// The stream of chunks of several inputs.
pub(crate) struct Chunks {
    inputs: Vec<Input>,
    next: usize,
    open: Option<Open>,
    /// Whether newlines inside quotes do not end a row; `None`: as the format says that the text is told to be.
    pub quotes: Option<bool>,
    /// Buffers to use again: fresh memory costs a page fault every 4 KiB.
    pub spare: Vec<Vec<u8>>,
    /// Content hashes of the raw bytes of inputs read to their end.
    pub hashes: Vec<u128>,
    /// Tells standard input to end.
    until: Option<Until>,
    /// Whether it was told to.
    cut: Arc<AtomicBool>,
}

struct Open {
    reader: Box<dyn Read + Send>,
    hash: Arc<Mutex<Hasher128>>,
    first: bool,
    ended: bool,
    carry: Vec<u8>,
    /// Whether the input was told to end, perhaps within a row.
    cut: Arc<AtomicBool>,
}

impl Chunks {
    pub fn new(inputs: &[Input], until: Option<Until>) -> Self {
        Self {
            inputs: inputs.to_vec(),
            next: 0,
            open: None,
            quotes: None,
            spare: Vec::new(),
            hashes: Vec::new(),
            until,
            cut: Arc::default(),
        }
    }

    fn chunk(&mut self) -> Result<Option<Chunk>> {
        loop {
            if self.open.is_none() {
                let Some(input) = self.inputs.get(self.next) else { return Ok(None) };
                self.open = Some(open(input, self.until.clone(), self.cut.clone())?);
                self.next += 1;
            }
            let file = self.next - 1;
            let path = self.inputs[file].path();
            if let Some(o) = &mut self.open {
                if let Some(bytes) =
                    o.lines(self.spare.pop().unwrap_or_default(), self.quotes).map_err(DataError::io("read", path))?
                {
                    let first = std::mem::take(&mut o.first);
                    return Ok(Some(Chunk { file, first, bytes }));
                }
                self.hashes.push(lock(&o.hash).digest());
                self.open = None;
            }
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<Chunk>;
    fn next(&mut self) -> Option<Self::Item> {
        self.chunk().transpose()
    }
}

impl Open {
    /// The next whole lines; `None` at the end of the file.
    fn lines(&mut self, mut bytes: Vec<u8>, quotes: Option<bool>) -> io::Result<Option<Vec<u8>>> {
        bytes.clear();
        bytes.reserve(CHUNK_BYTES + self.carry.len() + 1);
        bytes.append(&mut self.carry);
        loop {
            if !self.ended {
                let before = bytes.len();
                match self.reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut bytes) {
                    // Compressed text cannot end anywhere.
                    Err(e) if !self.cut.load(Ordering::Relaxed) => return Err(e),
                    _ => self.ended = bytes.len() - before < CHUNK_BYTES,
                }
            }
            if self.ended {
                if self.cut.load(Ordering::Relaxed) {
                    bytes.truncate(last_row_end(&bytes, quotes.unwrap_or(false)).unwrap_or(0));
                }
                return Ok(if bytes.is_empty() { None } else { Some(bytes) });
            }
            let quotes = quotes.unwrap_or_else(|| infer::format(&bytes) == Format::Csv);
            if let Some(end) = last_row_end(&bytes, quotes) {
                self.carry.extend_from_slice(&bytes[end..]);
                bytes.truncate(end);
                return Ok(Some(bytes));
            }
            if bytes.len() > LINE_BYTES_MAX {
                let what = if quotes { "a row (is a quote left open?)" } else { "a line" };
                return Err(io::Error::other(format!(
                    "expected {what} of at most {LINE_BYTES_MAX} bytes, got a longer one"
                )));
            }
        }
    }
}

/// The position after the last newline that ends a row.
fn last_row_end(bytes: &[u8], quotes: bool) -> Option<usize> {
    let end = memchr::memrchr(b'\n', bytes)? + 1;
    if !quotes || memchr::memchr(b'"', bytes).is_none() {
        return Some(end);
    }
    let (mut inside, mut at, mut last) = (false, 0, None);
    for i in memchr::memchr2_iter(b'"', b'\n', bytes) {
        if bytes[i] == b'"' {
            inside = !inside;
        } else if !inside {
            last = Some(i + 1);
        }
        at = i;
    }
    debug_assert!(at < bytes.len());
    last
}

fn open(input: &Input, until: Option<Until>, cut: Arc<AtomicBool>) -> Result<Open> {
    let hash = Arc::new(Mutex::new(Hasher128::new()));
    let raw: Box<dyn Read + Send> = match input {
        Input::Stdin => Box::new(Stdin::new(until, cut.clone())),
        Input::File(path) => Box::new(File::open(path).map_err(DataError::io("open", path))?),
    };
    let mut raw = Hashing { inner: raw, hash: hash.clone() };
    let mut magic = Vec::with_capacity(4);
    raw.by_ref().take(4).read_to_end(&mut magic).map_err(DataError::io("read", input.path()))?;
    let gzip = magic.starts_with(&[0x1f, 0x8b]);
    let zstd = magic == [0x28, 0xb5, 0x2f, 0xfd];
    let whole = Cursor::new(magic).chain(raw);
    let reader: Box<dyn Read + Send> = if gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, whole)))
    } else if zstd {
        Box::new(zstd::Decoder::new(whole).map_err(DataError::io("open", input.path()))?)
    } else {
        Box::new(whole)
    };
    Ok(Open { reader, hash, first: true, ended: false, carry: Vec::new(), cut })
}

struct Hashing<R> {
    inner: R,
    hash: Arc<Mutex<Hasher128>>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        lock(&self.hash).update(&buf[..n]);
        Ok(n)
    }
}

/// A poisoned hash only follows a panic, which ends the read anyway.
fn lock(hash: &Mutex<Hasher128>) -> std::sync::MutexGuard<'_, Hasher128> {
    hash.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_inside_quotes_ends_no_row() {
        for (text, quotes, expected) in [
            ("a\nb", false, Some(2)),
            ("a\nb", true, Some(2)),
            ("a\n\"b\nc", true, Some(2)),
            ("a\n\"b\nc\"\nd", true, Some(8)),
            ("\"b\nc", true, None),
            ("abc", false, None),
        ] {
            assert_eq!(last_row_end(text.as_bytes(), quotes), expected, "{text:?}");
        }
    }

    #[test]
    fn compressed_content_is_told_from_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..200_000).map(|i| format!("line {i}\n")).collect();
        let write = |name: &str, bytes: &[u8]| {
            let p = dir.path().join(name);
            std::fs::write(&p, bytes).unwrap();
            Input::File(p)
        };
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
        let inputs = [
            write("plain", text.as_bytes()),
            write("gz.txt", &gz.finish().unwrap()),
            write("zst.txt", &zstd::encode_all(text.as_bytes(), 1).unwrap()),
        ];
        for input in &inputs {
            let mut all = Vec::new();
            for chunk in Chunks::new(std::slice::from_ref(input), None) {
                let chunk = chunk.unwrap();
                assert!(chunk.bytes.ends_with(b"\n"));
                all.extend(chunk.bytes);
            }
            assert_eq!(all, text.as_bytes());
        }
    }
}
