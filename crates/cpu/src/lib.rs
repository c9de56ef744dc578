//! Folded convolutional networks, and what runs them on the CPU.
//!
//! A [`Plan`] lists feature maps and the steps between them: convolutions with bias and activation,
//! squeeze-and-excitation, pooling, normalisation. A [`Planner`] builds it. [`Plan::compile`] packs its weights for one
//! [`InstructionSet`] and plans its memory; an [`Engine`] runs the [`Program`] on pictures in NHWC order with one thread
//! or several. [`Lowered::write`] writes a program for an instance with a memory of its own.
//!
//! ```
//! use affectlens_cpu::{Activation, Engine, InstructionSet, Plan, Weighted, Window};
//!
//! let mut planner = Plan::of_input(4, 4, 3);
//! let picture = planner.input();
//! let window = Window::same(planner.shape(picture), 3, 1);
//! let weighted = Weighted {
//!     weight: vec![0.1; 3 * 3 * 3 * 2],
//!     bias: vec![0.0, 1.0],
//!     activation: Activation::Relu,
//!     slopes: vec![],
//! };
//! let maps = planner.convolution(picture, window, weighted);
//! let mean = planner.average(maps);
//! let plan = planner.finish(&[mean]);
//!
//! let program = plan.compile(InstructionSet::detect())?;
//! let mut engine = Engine::new(program, 1);
//! engine.run(1, &[1.0; 4 * 4 * 3]);
//! let mut means = [0.0; 2];
//! engine.read(0, &mut means);
//! assert!((means[1] - means[0] - 1.0).abs() < 1e-5);
//! # Ok::<(), affectlens_cpu::CompileError>(())
//! ```
//!
//! What executes a program stands on `core` alone, and plans on `alloc` (feature `alloc`); compiling and running in
//! this process need `std`. The feature `module` gives the exports of the stand-alone wasm module.

#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod activation;
mod arrange;
mod attention;
mod depthwise;
mod grouped;
mod image;
mod instructions;
mod interpolation;
mod job;
mod join;
mod lanes;
mod memory;
mod packed;
mod patches;
mod pixelwise;
mod product;
mod queue;
mod run;
mod tile;
mod transpose;

#[cfg(feature = "alloc")]
mod graph;

#[cfg(feature = "module")]
mod module;

#[cfg(feature = "std")]
mod arena;
#[cfg(feature = "std")]
mod chunks;
#[cfg(feature = "std")]
mod compile;
#[cfg(feature = "std")]
mod engine;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "std")]
mod layout;
#[cfg(feature = "std")]
mod lower;
#[cfg(feature = "std")]
mod parameters;
#[cfg(feature = "std")]
mod resize;
#[cfg(feature = "std")]
mod team;

pub use activation::Activation;
#[cfg(feature = "alloc")]
pub use graph::{
    Clip, LineSums, Map, MapShape, Plan, Planner, ScoreBias, Sequence, Shortcut, Span, Step,
    Weighted, Window,
};
pub use instructions::InstructionSet;
/// Damaged inputs are watched for what they take.
#[cfg(test)]
#[global_allocator]
static MEMORY: affectlens_fuzz::CountedMemory = affectlens_fuzz::CountedMemory;

#[cfg(feature = "std")]
pub use {compile::Program, engine::Engine, error::CompileError, lower::Lowered};
