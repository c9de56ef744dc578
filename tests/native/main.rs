//! Tests that link the whole crate, in one binary.
mod backbones;
mod command_line;
mod crop;
mod detect;
mod layering;
mod weights;
