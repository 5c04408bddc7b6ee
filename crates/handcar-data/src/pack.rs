//! The packed file: a header, sections of plain numbers, and a description of them in JSON at the end.
//!
//! ```text
//! 0    magic "HCARPACK", version u32, byte-order mark u32, then u64: begin, length and hash of the description, length
//!      of the file, hash of the header up to here
//! 64   sections, each begins at a multiple of 64; numbers in the machine's byte order, which the mark states
//! …    description: schema, report, sections with their hashes, blocks, stamps of the sources
//! ```
//!
//! A file of another version or byte order is refused and, as a cache is only a copy, built anew.

use crate::block::{BlockStore, EntryStore};
use crate::dataset::Packed;
use crate::error::{DataError, Result};
use crate::names::Names;
use crate::report::ReadReport;
use crate::row_store::RowStore;
use crate::schema::Schema;
use crate::section::Section;
use crate::stamp::Stamp;
use bytemuck::Pod;
use handcar_base::{Field, hash};
use handcar_kernels::mapped_file::MappedFile;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// Version of the layout.
pub(crate) const VERSION: u32 = 2;
const MAGIC: [u8; 8] = *b"HCARPACK";
const ORDER: u32 = 0x0102_0304;
const HEADER: usize = 64;
/// Sections begin at cache lines.
const ALIGN: u64 = 64;

#[derive(Serialize, Deserialize)]
struct Description {
    schema: Schema,
    report: ReadReport,
    sources: Vec<Stamp>,
    sections: Vec<SectionMeta>,
    blocks: Vec<BlockMeta>,
    nonzeros: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct SectionMeta {
    name: String,
    begin: u64,
    bytes: u64,
    hash: u64,
}

#[derive(Serialize, Deserialize)]
struct BlockMeta {
    field: Field,
    begin: u64,
    end: u64,
    max_row_nonzeros: u32,
    /// Bytes of a dense element; 0: sparse.
    width: u8,
}

/// Writes packed data to a file that is empty.
pub(crate) fn write(file: &mut File, data: &Packed, report: &ReadReport, sources: &[Stamp]) -> io::Result<()> {
    let mut out = Writer { file, at: 0, sections: Vec::new() };
    out.raw(&[0; HEADER])?;
    out.section("labels", &data.labels)?;
    out.optional("weights", &data.weights)?;
    out.section("keys", &data.keys)?;
    out.section("name.keys", &data.names.keys)?;
    out.section("name.ends", &data.names.ends)?;
    out.section("name.text", &data.names.text)?;
    let mut blocks = Vec::with_capacity(data.blocks.len());
    for (i, b) in data.blocks.iter().enumerate() {
        let width = match &b.entries {
            EntryStore::Dense8(d) => out.section(&format!("block.{i}.dense"), d).map(|()| 1)?,
            EntryStore::Dense16(d) => out.section(&format!("block.{i}.dense"), d).map(|()| 2)?,
            EntryStore::Dense32(d) => out.section(&format!("block.{i}.dense"), d).map(|()| 4)?,
            EntryStore::Sparse { rows, ids, values } => {
                out.section(&format!("block.{i}.rows"), rows)?;
                out.section(&format!("block.{i}.ids"), ids)?;
                out.optional(&format!("block.{i}.values"), values)?;
                0
            }
        };
        let (begin, end) = (b.keys.start as u64, b.keys.end as u64);
        blocks.push(BlockMeta { field: b.field, begin, end, max_row_nonzeros: b.max_row_nonzeros, width });
    }
    let description = Description {
        schema: data.schema.clone(),
        report: ReadReport { seconds: 0.0, cache_file: None, ..report.clone() },
        sources: sources.to_vec(),
        sections: out.sections.clone(),
        blocks,
        nonzeros: data.rows.nonzeros(),
    };
    let text = serde_json::to_vec(&description).map_err(io::Error::other)?;
    let begin = out.at;
    out.raw(&text)?;
    let mut header = [0u8; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_ne_bytes());
    header[12..16].copy_from_slice(&ORDER.to_ne_bytes());
    for (i, n) in [begin, text.len() as u64, hash::bytes(&text, 0), out.at].into_iter().enumerate() {
        header[16 + 8 * i..24 + 8 * i].copy_from_slice(&n.to_ne_bytes());
    }
    let seal = hash::bytes(&header[..48], 0);
    header[48..56].copy_from_slice(&seal.to_ne_bytes());
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header)
}

struct Writer<'a> {
    file: &'a mut File,
    at: u64,
    sections: Vec<SectionMeta>,
}

impl Writer<'_> {
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn section<T: Pod>(&mut self, name: &str, data: &[T]) -> io::Result<()> {
        let padding = self.at.next_multiple_of(ALIGN) - self.at;
        self.raw(&[0; ALIGN as usize][..padding as usize])?;
        let bytes: &[u8] = bytemuck::cast_slice(data);
        let (begin, hash) = (self.at, hash::bytes(bytes, 0));
        self.sections.push(SectionMeta { name: name.into(), begin, bytes: bytes.len() as u64, hash });
        self.raw(bytes)
    }

    fn optional<T: Pod>(&mut self, name: &str, data: &Option<Section<T>>) -> io::Result<()> {
        data.as_ref().map_or(Ok(()), |d| self.section(name, d))
    }
}

/// A packed file, mapped.
pub(crate) struct Opened {
    pub data: Packed,
    pub report: ReadReport,
    pub sources: Vec<Stamp>,
}

/// Maps a packed file. `verify`: whether to compare the hash of every section.
pub(crate) fn open(path: &Path, verify: bool) -> Result<Opened> {
    let file = File::open(path).map_err(DataError::io("open", path))?;
    let map = Arc::new(MappedFile::open(&file).map_err(DataError::io("map", path))?);
    let refuse = |expected: String, got: String| DataError::Pack { path: path.into(), expected, got };
    let description = describe(map.bytes()).map_err(|(e, g)| refuse(e, g))?;
    if verify {
        for s in &description.sections {
            let bytes = map.bytes().get(s.begin as usize..(s.begin + s.bytes) as usize);
            if bytes.is_none_or(|b| hash::bytes(b, 0) != s.hash) {
                return Err(refuse(format!("section {} as it was written", s.name), "other bytes".into()));
            }
        }
    }
    let sections = Sections { map: &map, all: &description.sections };
    let data = sections.data(&description).and_then(|d| match d.check() {
        Ok(()) => Ok(d),
        Err(e) => Err(e),
    });
    let data = data.map_err(|(e, g)| refuse(e, g))?;
    Ok(Opened { data, report: description.report, sources: description.sources })
}

type Refusal = (String, String);

fn describe(bytes: &[u8]) -> std::result::Result<Description, Refusal> {
    let refuse = |expected: &str, got: String| Err((expected.to_string(), got));
    let Some(header) = bytes.get(..HEADER) else {
        return refuse("a header of 64 bytes", format!("{} bytes", bytes.len()));
    };
    if header[..8] != MAGIC {
        return refuse("a packed file", "something else".into());
    }
    let u32_at = |i: usize| u32::from_ne_bytes(header[i..i + 4].try_into().unwrap_or_default());
    let u64_at = |i: usize| u64::from_ne_bytes(header[i..i + 8].try_into().unwrap_or_default());
    if u32_at(12) != ORDER {
        return refuse("this machine's byte order", "the other one".into());
    }
    if u32_at(8) != VERSION {
        return refuse(&format!("version {VERSION}"), u32_at(8).to_string());
    }
    if hash::bytes(&header[..48], 0) != u64_at(48) {
        return refuse("an intact header", "a damaged one".into());
    }
    if u64_at(40) != bytes.len() as u64 {
        return refuse(&format!("{} bytes", u64_at(40)), bytes.len().to_string());
    }
    let text = bytes.get(u64_at(16) as usize..).unwrap_or_default();
    let text = text.get(..u64_at(24) as usize).unwrap_or_default();
    if hash::bytes(text, 0) != u64_at(32) {
        return refuse("an intact description", "a damaged one".into());
    }
    serde_json::from_slice(text).map_err(|e| ("a description of this version".into(), e.to_string()))
}

struct Sections<'a> {
    map: &'a Arc<MappedFile>,
    all: &'a [SectionMeta],
}

impl Sections<'_> {
    fn optional<T: Pod>(&self, name: &str) -> std::result::Result<Option<Section<T>>, Refusal> {
        let Some(meta) = self.all.iter().find(|s| s.name == name) else { return Ok(None) };
        let end = meta.begin.saturating_add(meta.bytes) as usize;
        let section = Section::mapped(self.map, meta.begin as usize..end);
        section.map(Some).ok_or_else(|| (format!("section {name} inside the file"), format!("end {end}")))
    }

    fn get<T: Pod>(&self, name: &str) -> std::result::Result<Section<T>, Refusal> {
        self.optional(name)?.ok_or_else(|| (format!("a section {name}"), "none".into()))
    }

    fn data(&self, d: &Description) -> std::result::Result<Packed, Refusal> {
        let block = |(i, b): (usize, &BlockMeta)| {
            let dense = format!("block.{i}.dense");
            let entries = match b.width {
                1 => EntryStore::Dense8(self.get(&dense)?),
                2 => EntryStore::Dense16(self.get(&dense)?),
                4 => EntryStore::Dense32(self.get(&dense)?),
                _ => EntryStore::Sparse {
                    rows: self.get(&format!("block.{i}.rows"))?,
                    ids: self.get(&format!("block.{i}.ids"))?,
                    values: self.optional(&format!("block.{i}.values"))?,
                },
            };
            let keys = b.begin as usize..b.end as usize;
            Ok(BlockStore { field: b.field, keys, max_row_nonzeros: b.max_row_nonzeros, entries })
        };
        Ok(Packed {
            schema: d.schema.clone(),
            labels: self.get("labels")?,
            weights: self.optional("weights")?,
            keys: self.get("keys")?,
            rows: RowStore::new(d.nonzeros),
            blocks: d.blocks.iter().enumerate().map(block).collect::<std::result::Result<_, Refusal>>()?,
            names: Names { keys: self.get("name.keys")?, ends: self.get("name.ends")?, text: self.get("name.text")? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    fn packed() -> Dataset {
        Dataset::from_csr(&[1.0, -1.0], &[0, 2, 3], &[5u32, 9, 5], Some(&[1.0, 2.0, 3.0]), None).unwrap()
    }

    fn message(path: &Path) -> String {
        open(path, true).err().expect("refused").to_string()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let d = packed();
        write(&mut File::create(&path).unwrap(), &d.data, &d.report, &[]).unwrap();
        let o = open(&path, true).unwrap();
        let back = Dataset { data: Arc::new(o.data), report: Arc::new(o.report) };
        assert_eq!(format!("{:?}{:?}", back.csr(), back.blocks()), format!("{:?}{:?}", d.csr(), d.blocks()));
        assert_eq!((back.keys(), back.labels(), back.schema()), (d.keys(), d.labels(), d.schema()));
    }

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let d = packed();
        write(&mut File::create(&path).unwrap(), &d.data, &d.report, &[]).unwrap();
        let good = std::fs::read(&path).unwrap();
        let last_section = describe(&good).unwrap().sections.last().map(|s| s.begin + s.bytes).unwrap() as usize;
        for i in (0..good.len()).step_by(3) {
            let mut bad = good.clone();
            bad[i] ^= 0x10;
            // A new file each time: mapped ones must not change.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &bad).unwrap();
            let padding = (56..64).contains(&i)
                || i < last_section
                    && !describe(&good)
                        .unwrap()
                        .sections
                        .iter()
                        .any(|s| (s.begin..s.begin + s.bytes).contains(&(i as u64)));
            if padding && i >= 56 {
                continue;
            }
            message(&path);
        }
        for cut in [0, 10, 63, 64, good.len() - 1] {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(message(&path).contains("expected"), "{cut}");
        }
        let mut newer = good.clone();
        newer[8] = 9;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &newer).unwrap();
        assert!(message(&path).contains("expected version 2, got 9"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error() {
        let d = packed();
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = write(&mut full, &d.data, &d.report, &[]).unwrap_err();
        assert!(DataError::io("write", "/dev/full")(error).to_string().contains("the disk is full"));
    }
}
