//! Asking for memory before it is needed.

/// Asks for the cache line of a value, to be there when it is read later; a hint that changes nothing.
///
/// ```
/// let v = vec![1u64; 1000];
/// handcar_kernels::prefetch::line(&v[999]);
/// ```
#[inline(always)]
pub fn line<T>(at: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 machine has SSE; a prefetch reads nothing, faults never, and the address is a live value's.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
