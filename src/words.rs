//! What the rest of the crate talks about: frames, faces, people, labels, tasks, files, reports.

pub mod face;
pub mod frame;
pub mod label;
pub mod name;
pub mod person;
pub mod planes;
pub mod report;
pub mod role;
pub mod task;
