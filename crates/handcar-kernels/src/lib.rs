//! Kernels for handcar: the only home of `unsafe` beside the Python glue.
//!
//! Every kernel gives equal bits for any instruction set: each is one generic body, compiled once per instruction set,
//! in which every floating-point operation is a single IEEE operation on its own row (no reassociation, no
//! contraction), and every sum over rows is an integer sum.
#![allow(unsafe_code)]

mod isa;

pub mod columns;
pub mod elementary;
pub mod huge_pages;
pub mod logistic;
pub mod mapped_file;
pub mod marks;
pub mod prefetch;
pub mod slots;

pub use isa::{Isa, Kernel, run, run_on};
