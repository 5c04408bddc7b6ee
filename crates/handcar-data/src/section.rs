//! An array that is owned or lies in a mapped file.

use handcar_kernels::mapped_file::MappedFile;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// An array of plain numbers, owned or mapped.
pub(crate) enum Section<T> {
    Owned(Vec<T>),
    /// A part of an array that several sections share.
    Shared(Arc<Vec<T>>, Range<usize>),
    /// Bytes of the file, whose length and alignment fit `T`.
    Mapped(Arc<MappedFile>, Range<usize>),
}

impl<T: bytemuck::Pod> Section<T> {
    /// A part of a mapped file; `None` if it lies outside or does not hold whole, aligned elements.
    pub fn mapped(file: &Arc<MappedFile>, range: Range<usize>) -> Option<Self> {
        let bytes = file.bytes().get(range.clone())?;
        bytemuck::try_cast_slice::<u8, T>(bytes).ok()?;
        Some(Self::Mapped(file.clone(), range))
    }
}

impl<T: bytemuck::Pod> Deref for Section<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(v) => v,
            Self::Shared(v, range) => &v[range.clone()],
            Self::Mapped(file, range) => bytemuck::cast_slice(&file.bytes()[range.clone()]),
        }
    }
}
