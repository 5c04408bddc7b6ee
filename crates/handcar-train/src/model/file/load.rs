//! Reading a model file, trusting nothing in it.

use super::{CHUNK, ENTRY, FORMAT_VERSION, HEADER_BYTES_MAX, Head, Stamp};
use crate::model::{Facts, Model, ModelError, Names, SeenKeys};
use handcar_base::hash::Hasher128;
use handcar_data::Schema;
use safetensors::tensor::{Dtype, Metadata};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

impl Model {
    /// Reads a model.
    ///
    /// # Errors
    /// [`ModelError`] tells apart a file that is no model, a newer format, and a damaged or truncated file.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let read = |source| ModelError::Read { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(read)?;
        let size = file.metadata().map_err(read)?.len();
        Loader { path, input: BufReader::with_capacity(CHUNK, file), hash: Hasher128::new() }.load(size)
    }
}

struct Loader<'a> {
    path: &'a Path,
    input: BufReader<File>,
    hash: Hasher128,
}

impl Loader<'_> {
    fn damaged(&self, what: impl Into<String>) -> ModelError {
        ModelError::Damaged { path: self.path.to_path_buf(), what: what.into() }
    }

    fn not_a_model(&self, got: impl Into<String>) -> ModelError {
        ModelError::NotAModel { path: self.path.to_path_buf(), got: got.into() }
    }

    fn load(mut self, size: u64) -> Result<Model, ModelError> {
        if size < 10 {
            return Err(self.not_a_model(format!("a file of {size} bytes")));
        }
        let mut length = [0; 8];
        self.fill(&mut length)?;
        let length = u64::from_le_bytes(length);
        if !(2..=HEADER_BYTES_MAX).contains(&length) {
            return Err(self.not_a_model("a file that is no safetensors file"));
        }
        if length > size - 8 {
            return Err(self.damaged(format!("expected a header of {length} bytes, got {} bytes in all", size - 8)));
        }
        let mut header = vec![0; length as usize];
        self.fill(&mut header)?;
        let metadata: Metadata = match serde_json::from_slice(&header) {
            Ok(metadata) => metadata,
            Err(_) if header[0] != b'{' => return Err(self.not_a_model("a file that is no safetensors file")),
            Err(e) => return Err(self.damaged(format!("its header does not parse: {e}"))),
        };
        let head = metadata.metadata().as_ref().and_then(|m| m.get(ENTRY));
        let head = head.ok_or_else(|| self.not_a_model("a safetensors file of another program"))?;
        let stamp: Stamp =
            serde_json::from_str(head).map_err(|e| self.damaged(format!("its description does not parse: {e}")))?;
        if stamp.format > FORMAT_VERSION {
            let (got, by) = (stamp.format, stamp.version);
            return Err(ModelError::Newer { path: self.path.to_path_buf(), reads: FORMAT_VERSION, got, by });
        }
        let head: Head<Facts, Schema> =
            serde_json::from_str(head).map_err(|e| self.damaged(format!("its description does not parse: {e}")))?;
        let expected = 8 + length + metadata.data_len() as u64;
        if expected != size {
            return Err(self.damaged(format!("expected {expected} bytes, got {size}")));
        }
        self.tensors(&metadata, head)
    }

    fn tensors(mut self, metadata: &Metadata, head: Head<Facts, Schema>) -> Result<Model, ModelError> {
        let (mut keys, mut weights, mut intercept) = (Vec::new(), Vec::new(), Vec::new());
        let (mut name_ends, mut names, mut starts, mut marks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut stored = None;
        for name in metadata.offset_keys() {
            let Some(info) = metadata.info(&name) else { continue };
            let n = info.data_offsets.1 - info.data_offsets.0;
            if stored.is_some() {
                return Err(self.damaged(format!("expected the checksum as the last tensor, got {name}")));
            }
            match (name.as_str(), info.dtype) {
                ("intercept", Dtype::F64) => intercept = self.numbers(n, f64::from_le_bytes)?,
                ("keys", Dtype::U64) => keys = self.numbers(n, u64::from_le_bytes)?,
                ("name_ends", Dtype::U64) => name_ends = self.numbers(n, u64::from_le_bytes)?,
                ("weights", Dtype::F32) => weights = self.numbers(n, f32::from_le_bytes)?,
                ("seen_starts", Dtype::U32) => starts = self.numbers(n, u32::from_le_bytes)?,
                ("seen_marks", Dtype::U16) => marks = self.numbers(n, u16::from_le_bytes)?,
                ("names", Dtype::U8) => names = self.numbers(n, |[b]: [u8; 1]| b)?,
                ("checksum", Dtype::U8) => {
                    let computed = self.hash.digest().to_le_bytes();
                    let bytes = self.numbers(n, |[b]: [u8; 1]| b)?;
                    stored = Some(bytes == computed);
                }
                (_, dtype) => return Err(self.damaged(format!("expected no tensor {name} of type {dtype:?}"))),
            }
        }
        if stored != Some(true) {
            return Err(self.damaged("its checksum does not fit its content"));
        }
        // A true checksum only says that the file is as written; it may still have been written by something else.
        if weights.len() != keys.len() || !keys.is_sorted_by(|a, b| a < b) {
            let counts = format!("{} keys and {} weights", keys.len(), weights.len());
            return Err(self.damaged(format!("expected one weight for each of the rising keys, got {counts}")));
        }
        if !(weights.iter().all(|w| w.is_finite()) && intercept.iter().all(|x| x.is_finite()) && intercept.len() == 1) {
            return Err(self.damaged("expected finite weights and one finite intercept"));
        }
        let names = String::from_utf8(names).ok().and_then(|text| Names::from_parts(text, name_ends));
        let names = names.filter(|n| n.is_empty() || n.len() == keys.len());
        let names = names.ok_or_else(|| self.damaged("expected one name for each key"))?;
        let seen = SeenKeys::from_parts(starts, marks).ok_or_else(|| self.damaged("its set of seen keys is no set"))?;
        Ok(Model { keys, weights, intercept: intercept[0], names, seen, schema: head.schema, facts: head.facts })
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ModelError> {
        self.input.read_exact(bytes).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it ends too soon"),
            _ => ModelError::Read { path: self.path.to_path_buf(), source },
        })?;
        self.hash.update(bytes);
        Ok(())
    }

    fn numbers<T, const N: usize>(
        &mut self,
        bytes: usize,
        number: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, ModelError> {
        // The header's sizes were checked against the file's length, so this allocation is bounded by the file.
        let mut out = Vec::with_capacity(bytes / N);
        let mut buffer = vec![0; CHUNK.min(bytes)];
        let mut left = bytes;
        while left > 0 {
            let part = &mut buffer[..CHUNK.min(left)];
            self.fill(part)?;
            let (numbers, _) = part.as_chunks::<N>();
            out.extend(numbers.iter().map(|&b| number(b)));
            left -= part.len();
        }
        Ok(out)
    }
}
