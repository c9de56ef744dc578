#[cfg(feature = "std")]
use crate::lanes;

/// Instructions that a program is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionSet {
    /// Plain code, vectorised by the compiler.
    #[cfg(feature = "std")]
    Plain,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// wasm with 128-bit vectors.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

impl InstructionSet {
    /// Floats in a vector, vectors of a panel of weights, rows of a tile of two vectors.
    #[cfg(feature = "std")]
    pub(crate) fn sizes(self) -> [usize; 3] {
        fn sizes<L: lanes::Lanes>() -> [usize; 3] {
            [L::WIDTH, L::PANEL, L::ROWS[2]]
        }
        match self {
            Self::Plain => sizes::<lanes::Plain>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => sizes::<lanes::Avx2>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => sizes::<lanes::Avx512>(),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128 => sizes::<lanes::Simd128>(),
        }
    }

    /// Every set that this processor has, the fastest first.
    #[cfg(feature = "std")]
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_fma = std::arch::is_x86_feature_detected!("fma");
            if has_fma && std::arch::is_x86_feature_detected!("avx512f") {
                sets.push(Self::Avx512);
            }
            if has_fma && std::arch::is_x86_feature_detected!("avx2") {
                sets.push(Self::Avx2);
            }
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        sets.push(Self::Simd128);
        sets.push(Self::Plain);
        sets
    }

    /// The fastest set that this processor has.
    #[cfg(feature = "std")]
    pub fn detect() -> Self {
        Self::available()[0]
    }
}
