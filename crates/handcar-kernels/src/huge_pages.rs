//! Large pages for large arrays.

/// Arrays below this gain nothing.
const LEAST_BYTES: usize = 4 << 20;
const PAGE: usize = 2 << 20;

/// Asks for large pages under an array, which spares it most page faults and, where it is accessed at random, most misses
/// of the address cache. Best before the array is first touched; a hint that the system may ignore.
pub fn advise<T>(array: &[T]) {
    let bytes = std::mem::size_of_val(array);
    if bytes < LEAST_BYTES {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        // Only whole large pages inside the array: its neighbours are not ours to advise on.
        let begin = (array.as_ptr() as usize).next_multiple_of(PAGE);
        let end = (array.as_ptr() as usize + bytes) / PAGE * PAGE;
        if begin < end {
            // SAFETY: the range lies inside a live array, and this advice changes neither content nor protection.
            let _ = unsafe { rustix::mm::madvise(begin as *mut _, end - begin, rustix::mm::Advice::LinuxHugepage) };
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn advice_leaves_content_alone() {
        let v: Vec<u64> = (0..2_000_000).collect();
        super::advise(&v);
        super::advise(&v[..10]);
        assert!(v.iter().enumerate().all(|(i, &x)| x == i as u64));
    }
}
