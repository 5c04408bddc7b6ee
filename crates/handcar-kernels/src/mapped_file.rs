//! A file's bytes as memory.

use std::fs::File;
use std::io;

/// The bytes of a file, mapped read-only. Start is aligned to a page.
///
/// The file must not be changed or cut off while it is mapped: readers of the mapping would see the change or fault.
/// Handcar maps only files that it writes aside, renames into place and never touches again; removing or replacing such
/// a file leaves the mapping intact.
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

impl MappedFile {
    /// Maps a whole file. An empty file gives no bytes.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private to this value and read-only. That nobody changes the file is the contract above:
        // packed files are complete before they get their name and immutable afterwards.
        Ok(Self(unsafe { memmap2::Mmap::map(file)? }))
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_equal_the_file() {
        let path = std::env::temp_dir().join(format!("handcar-mapped-{}", std::process::id()));
        std::fs::write(&path, b"handcar").unwrap();
        let mapped = MappedFile::open(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mapped.bytes(), b"handcar");
    }
}
