//! Writing a model file.

use super::{CHUNK, ENTRY, FORMAT_VERSION, HEADER_BYTES_MAX, Head};
use crate::model::{Model, ModelError, write_aside};
use handcar_base::hash::Hasher128;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
};

impl Model {
    /// Writes the model to the side, syncs, and renames it into place.
    ///
    /// # Errors
    /// [`ModelError::Write`] or [`ModelError::NotFinite`]; an older file stays as it was.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        self.check_finite(path)?;
        write_aside(path, |out| self.write(out))
            .map_err(|source| ModelError::Write { path: path.to_path_buf(), source })
    }

    fn check_finite(&self, path: &Path) -> Result<(), ModelError> {
        let f = &self.facts;
        let bad_weight = self.weights.iter().position(|w| !w.is_finite());
        let scalars = [
            ("intercept", self.intercept),
            ("objective", f.objective),
            ("loss", f.loss),
            ("gap", f.gap.unwrap_or(0.0)),
            ("violation", f.violation.unwrap_or(0.0)),
        ];
        let what = match bad_weight {
            Some(i) => Some(format!("{} as the weight of {}", self.weights[i], self.name(i))),
            None => scalars.iter().find(|(_, x)| !x.is_finite()).map(|(name, x)| format!("{x} as the {name}")),
        };
        what.map_or(Ok(()), |what| Err(ModelError::NotFinite { path: path.to_path_buf(), what }))
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let head = Head {
            format: FORMAT_VERSION,
            version: env!("CARGO_PKG_VERSION").to_string(),
            facts: &self.facts,
            schema: &self.schema,
        };
        // Widest numbers first: each tensor then starts at a multiple of its width.
        let mut tensors: Vec<(&str, Dtype, usize, usize)> =
            vec![("intercept", Dtype::F64, 1, 8), ("keys", Dtype::U64, self.keys.len(), 8)];
        if !self.names.is_empty() {
            tensors.push(("name_ends", Dtype::U64, self.names.ends.len(), 8));
        }
        tensors.push(("weights", Dtype::F32, self.weights.len(), 4));
        tensors.push(("seen_starts", Dtype::U32, self.seen.starts.len(), 4));
        tensors.push(("seen_marks", Dtype::U16, self.seen.marks.len(), 2));
        if !self.names.is_empty() {
            tensors.push(("names", Dtype::U8, self.names.text.len(), 1));
        }
        tensors.push(("checksum", Dtype::U8, 16, 1));
        let mut end = 0;
        let infos = tensors.iter().map(|&(name, dtype, length, width)| {
            let begin = end;
            end += length * width;
            (name.to_string(), TensorInfo { dtype, shape: vec![length], data_offsets: (begin, end) })
        });
        // One entry only: the map's order could not reach the file.
        let entry = HashMap::from([(ENTRY.to_string(), serde_json::to_string(&head)?)]);
        let metadata = Metadata::new(Some(entry), infos.collect()).map_err(io::Error::other)?;
        let mut header = serde_json::to_vec(&metadata)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        if header.len() as u64 > HEADER_BYTES_MAX {
            return Err(io::Error::other(format!(
                "expected a header (facts and schema) of at most {HEADER_BYTES_MAX} bytes, got {}",
                header.len()
            )));
        }

        let mut out = Hashing { inner: out, hash: Hasher128::new() };
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        out.write_all(&self.intercept.to_le_bytes())?;
        write_numbers(&mut out, &self.keys, |x| x.to_le_bytes())?;
        write_numbers(&mut out, &self.names.ends, |x| x.to_le_bytes())?;
        write_numbers(&mut out, &self.weights, |x| x.to_le_bytes())?;
        write_numbers(&mut out, &self.seen.starts, |x| x.to_le_bytes())?;
        write_numbers(&mut out, &self.seen.marks, |x| x.to_le_bytes())?;
        out.write_all(self.names.text.as_bytes())?;
        let checksum = out.hash.digest().to_le_bytes();
        out.inner.write_all(&checksum)
    }
}

struct Hashing<'a> {
    inner: &'a mut dyn Write,
    hash: Hasher128,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn write_numbers<T: Copy, const N: usize>(
    out: &mut impl Write,
    numbers: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK);
    for part in numbers.chunks(CHUNK / N) {
        buffer.clear();
        part.iter().for_each(|&x| buffer.extend_from_slice(&bytes(x)));
        out.write_all(&buffer)?;
    }
    Ok(())
}
