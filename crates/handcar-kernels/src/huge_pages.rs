//! Large pages for large arrays.

/// Arrays below this gain nothing.
const LEAST_BYTES: usize = 4 << 20;
const PAGE: usize = 2 << 20;
const LINE: usize = 64;

/// Asks for large pages under an array, which spares it most page faults and, where it is accessed at random, most misses
/// of the address cache. Best before the array is first touched; a hint that the system may ignore.
pub fn advise<T>(array: &[T]) {
    advise_bytes(array.as_ptr() as usize, std::mem::size_of_val(array));
}

/// The same for memory that a vector has asked for and not filled yet.
pub fn advise_capacity<T>(vector: &mut Vec<T>) {
    advise_bytes(vector.as_ptr() as usize, vector.capacity() * std::mem::size_of::<T>());
}

/// A vector of equal elements on large pages, asked for before the memory is touched.
pub fn filled<T: Clone>(value: T, len: usize) -> Vec<T> {
    let mut vector = Vec::with_capacity(len);
    advise_capacity(&mut vector);
    vector.resize(len, value);
    vector
}

/// An array of zeros that begins at a large page, if it is large, or else at a cache line. Nothing is written, as the system
/// gives zeros: a page costs nothing before it is used.
#[derive(Debug)]
pub struct Zeros<T> {
    array: Vec<T>,
    skip: usize,
    len: usize,
}

impl<T: Copy + Default> Zeros<T> {
    /// `len` of them.
    ///
    /// ```
    /// use handcar_kernels::huge_pages::Zeros;
    /// let mut zeros = Zeros::<u32>::new(100);
    /// zeros[7] = 1;
    /// assert_eq!((zeros.len(), zeros.iter().sum::<u32>()), (100, 1));
    /// assert!(zeros.as_ptr().cast::<[u8; 64]>().align_offset(64) == 0);
    /// ```
    pub fn new(len: usize) -> Self {
        let size = std::mem::size_of::<T>().max(1);
        let at = if len * size < LEAST_BYTES { LINE } else { PAGE };
        let array = vec![T::default(); len + at.div_ceil(size)];
        let skip = array.as_ptr().align_offset(at).min(array.len() - len);
        advise(&array[skip..]);
        Self { array, skip, len }
    }
}

impl<T> std::ops::Deref for Zeros<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.array[self.skip..][..self.len]
    }
}

impl<T> std::ops::DerefMut for Zeros<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.array[self.skip..][..self.len]
    }
}

fn advise_bytes(at: usize, bytes: usize) {
    if bytes < LEAST_BYTES {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        // Only whole large pages inside the array: its neighbours are not ours to advise on.
        let begin = at.next_multiple_of(PAGE);
        let end = (at + bytes) / PAGE * PAGE;
        if begin < end {
            // SAFETY: the range lies inside a live allocation (both callers borrow its owner), and this advice changes neither content nor protection.
            let _ = unsafe { rustix::mm::madvise(begin as *mut _, end - begin, rustix::mm::Advice::LinuxHugepage) };
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn zeros_begin_where_they_should() {
        for (len, at) in [(0, 64), (1, 64), (1000, 64), (3_000_000, 2 << 20)] {
            let mut zeros = super::Zeros::<f32>::new(len);
            assert_eq!((zeros.len(), zeros.as_ptr() as usize % at), (len, 0));
            assert!(zeros.iter().all(|x| x.to_bits() == 0));
            zeros.fill(1.0);
            assert_eq!(zeros.last().copied(), (len > 0).then_some(1.0));
        }
    }

    #[test]
    fn advice_leaves_content_alone() {
        let v: Vec<u64> = (0..2_000_000).collect();
        super::advise(&v);
        super::advise(&v[..10]);
        let mut more: Vec<u64> = Vec::with_capacity(2_000_000);
        super::advise_capacity(&mut more);
        more.extend_from_slice(&v);
        assert_eq!(more, v);
        assert_eq!(super::filled(7u64, 1_000_000), vec![7; 1_000_000]);
        assert!(v.iter().enumerate().all(|(i, &x)| x == i as u64));
    }
}
