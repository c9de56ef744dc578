//! Tests of the command `affectlens`, in one binary.

mod affwild2;
mod train;
mod usage;
mod violence;
mod weights;
