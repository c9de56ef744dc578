//! Tests of the command `affectlens`, in one binary.

mod train;
mod usage;
mod violence;
mod weights;
