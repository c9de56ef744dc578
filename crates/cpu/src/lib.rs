//! Runs folded convolutional networks on the CPU.
//!
//! A [`Network`] lists steps over feature maps: convolutions with bias and activation, squeeze-and-excitation,
//! pooling, normalisation. [`Network::compile`] packs its weights for one [`InstructionSet`] and plans its
//! memory; an [`Engine`] runs the [`Program`] on pictures in NHWC order with one thread or several.
//!
//! ```
//! use affectlens_cpu::{Activation, Engine, Finish, InstructionSet, Network, Window};
//!
//! let mut network = Network::default();
//! let picture = network.input([4, 4, 3])?;
//! let window = Window { kernel: 3, stride: 1, padding: [1, 1], size: [4, 4] };
//! let weight = [0.1; 2 * 3 * 3 * 3];
//! let finish = Finish { bias: &[0.0, 1.0], activation: Activation::Relu, slopes: &[] };
//! let maps = network.convolution(picture, window, &weight, finish, None)?;
//! let mean = network.average(maps)?;
//! network.output(mean)?;
//!
//! let program = network.compile(InstructionSet::detect())?;
//! let mut engine = Engine::new(program, 1);
//! engine.run(1, &[&[1.0; 4 * 4 * 3]]);
//! let mut means = [0.0; 2];
//! engine.read(0, &mut means);
//! assert!((means[1] - means[0] - 1.0).abs() < 1e-5);
//! # Ok::<(), affectlens_cpu::NetworkError>(())
//! ```

#![cfg_attr(not(feature = "std"), no_std)]

mod activation;
mod depthwise;
mod image;
mod job;
mod lanes;
mod memory;
mod pixelwise;
mod product;
mod queue;
mod run;
mod step;
mod tile;

#[cfg(feature = "module")]
mod module;

#[cfg(feature = "std")]
mod arena;
#[cfg(feature = "std")]
mod compile;
#[cfg(feature = "std")]
mod engine;
#[cfg(feature = "std")]
mod network;
#[cfg(feature = "std")]
mod team;

pub use step::Activation;

#[cfg(feature = "std")]
pub use {
    compile::Program,
    engine::Engine,
    network::{Finish, MapId, Network, NetworkError, Shortcut, Window},
};

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
    fn sizes(self) -> [usize; 3] {
        fn of<L: lanes::Lanes>() -> [usize; 3] {
            [L::WIDTH, L::PANEL, L::ROWS[2]]
        }
        match self {
            Self::Plain => of::<lanes::Plain>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => of::<lanes::Avx2>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => of::<lanes::Avx512>(),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128 => of::<lanes::Simd128>(),
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
