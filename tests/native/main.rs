//! Tests that link the whole crate, in one binary.
mod crop;
mod command_line;
mod layering;
