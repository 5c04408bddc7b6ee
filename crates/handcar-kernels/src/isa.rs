//! Which instruction set to use, decided once at run time, and the macro that compiles one body for each.

use std::sync::OnceLock;

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// AVX2.
    Avx2,
    /// What every machine of the target has.
    Baseline,
}

impl Isa {
    /// The best instruction set of this machine; detected on first use.
    pub fn detect() -> Self {
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(|| {
            #[cfg(target_arch = "x86_64")]
            {
                let avx512 = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl");
                if avx512 {
                    return Isa::Avx512;
                }
                if is_x86_feature_detected!("avx2") {
                    return Isa::Avx2;
                }
            }
            Isa::Baseline
        })
    }
}

/// A computation to be compiled for every [`Isa`]: what [`run`](Self::run) calls must be marked `#[inline(always)]` as well,
/// or it is compiled for the baseline.
pub trait Kernel {
    /// What it gives.
    type Output;
    /// The computation.
    fn run(self) -> Self::Output;
}

/// Runs a kernel on the best instruction set of this machine. Fused multiply-add is not enabled, so the result has the
/// bits that the baseline would give.
///
/// ```
/// use handcar_kernels::{Kernel, run};
/// struct Scale<'a>(&'a mut [f32], f32);
/// impl Kernel for Scale<'_> {
///     type Output = ();
///     #[inline(always)]
///     fn run(self) {
///         self.0.iter_mut().for_each(|x| *x *= self.1);
///     }
/// }
/// let mut v = [1.0, 2.0];
/// run(Scale(&mut v, 3.0));
/// assert_eq!(v, [3.0, 6.0]);
/// ```
#[inline]
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    run_on(Isa::detect(), kernel)
}

/// The same on an instruction set at most as wide as [`Isa::detect`] found.
#[doc(hidden)]
pub fn run_on<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn avx512<K: Kernel>(kernel: K) -> K::Output {
            kernel.run()
        }
        #[target_feature(enable = "avx2")]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run()
        }
        let best = Isa::detect();
        if isa == Isa::Avx512 && best == Isa::Avx512 {
            // SAFETY: `Isa::detect` found AVX-512 F, BW, DQ and VL on this machine.
            return unsafe { avx512(kernel) };
        }
        if isa != Isa::Baseline && best != Isa::Baseline {
            // SAFETY: `Isa::detect` found AVX2 on this machine (every AVX-512 machine has it).
            return unsafe { avx2(kernel) };
        }
    }
    let _ = isa;
    kernel.run()
}

/// Defines a public function with one body compiled for every [`Isa`], plus `NAME_on(isa, ...)` for tests.
///
/// Fused multiply-add is not enabled, so no instruction set can round differently from another.
macro_rules! for_each_isa {
    ($(#[$doc:meta])* pub fn $name:ident / $on:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[inline]
        pub fn $name($($arg: $ty),*) {
            $on(crate::Isa::detect(), $($arg),*)
        }

        /// The same on an instruction set at most as wide as [`Isa::detect`](crate::Isa::detect) found.
        #[doc(hidden)]
        pub fn $on(isa: crate::Isa, $($arg: $ty),*) {
            #[inline(always)]
            fn body($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($arg: $ty),*) { body($($arg),*) }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) { body($($arg),*) }
                let best = crate::Isa::detect();
                if isa == crate::Isa::Avx512 && best == crate::Isa::Avx512 {
                    // SAFETY: `Isa::detect` found AVX-512 F, BW, DQ and VL on this machine.
                    return unsafe { avx512($($arg),*) };
                }
                if isa != crate::Isa::Baseline && best != crate::Isa::Baseline {
                    // SAFETY: `Isa::detect` found AVX2 on this machine (every AVX-512 machine has it).
                    return unsafe { avx2($($arg),*) };
                }
            }
            let _ = isa;
            body($($arg),*)
        }
    };
}

pub(crate) use for_each_isa;
