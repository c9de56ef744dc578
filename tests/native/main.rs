//! Tests that link the whole crate, in one binary.
mod crop;
