//! Runs one chunk of one step with one instruction set.

use crate::instructions::InstructionSet;
use crate::lanes::Lanes;
use crate::memory::Memory;
use crate::packed::{Kind, PackedStep};
use crate::{
    arrange, attention, depthwise, grouped, interpolation, join, patches, pixelwise, product,
    transpose,
};

/// Runs one chunk of a step.
///
/// # Safety
///
/// The processor has the instruction set, for which the program was made; parameters, arena and scratch memory
/// are as long as the program says and aligned to 64 bytes; the steps before this one are done; no other thread
/// runs this chunk or uses this scratch memory.
pub(crate) unsafe fn run(set: InstructionSet, memory: &Memory, step: &PackedStep, chunk: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match set {
            #[cfg(feature = "std")]
            InstructionSet::Plain => with::<crate::lanes::Plain>(memory, step, chunk),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => with::<crate::lanes::Avx2>(memory, step, chunk),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => with::<crate::lanes::Avx512>(memory, step, chunk),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            InstructionSet::Simd128 => with::<crate::lanes::Simd128>(memory, step, chunk),
        }
    }
}

unsafe fn with<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match step.kind {
            Kind::Product => product::run::<L>(memory, step, chunk),
            Kind::Depthwise => depthwise::run::<L>(memory, step, chunk),
            Kind::Grouped => grouped::run::<L>(memory, step, chunk),
            Kind::Keys => attention::pack::<L>(memory, step, chunk),
            Kind::Attention => attention::run::<L>(memory, step, chunk),
            Kind::Unfold | Kind::Fold => patches::run::<L>(memory, step, chunk),
            Kind::Transpose => transpose::run::<L>(memory, step, chunk),
            Kind::Interpolate => interpolation::run::<L>(memory, step, chunk),
            Kind::Join => join::run::<L>(memory, step, chunk),
            Kind::Arrange => arrange::run::<L>(memory, step, chunk),
            _ => pixelwise::run::<L>(memory, step, chunk),
        }
    }
}
