//! Networks in folded form and what carries them out.
//!
//! A [`Plan`] lists feature maps in NHWC order and the operations between them.

mod plan;

pub use plan::{Activation, Map, MapShape, Plan, Planner, Shortcut, Step, Weighted, Window};
