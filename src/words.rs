//! What the rest of the crate talks about: frames, faces, labels, reports.

pub mod face;
pub mod frame;
pub mod label;
pub mod report;
