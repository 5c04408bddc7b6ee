//! Handcar kernels.
