//! A grey picture whose levels need not be whole.

/// Levels as numbers, row by row.
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) levels: Vec<f32>,
}
