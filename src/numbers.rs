//! Arithmetic on scores that were read back from a device, over plain slices and without Burn.

pub mod baseline;
pub mod calibration;
pub mod circumplex;
pub mod correction;
pub mod facs;
pub mod filtering;
pub mod fusion;
pub mod gaps;
pub mod metrics;
pub mod optical_flow;
pub(crate) mod probability;
pub mod skeleton;
pub mod smoothing;
pub mod tracking;
pub mod windowing;
