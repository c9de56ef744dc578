//! Tests that link the whole crate, in one binary.
#![expect(
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "reference values are made in f64; what was measured is printed"
)]

#[cfg(feature = "train")]
mod affwild2;
mod backbones;
mod command_line;
mod crop;
mod detect;
mod kernels;
mod landmarks;
mod layering;
mod pipeline;
mod temporal;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod trainable;
#[cfg(feature = "train")]
mod violence;
mod weights;
