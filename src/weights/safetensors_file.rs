//! The canonical weights file: safetensors.

/// How parameters are stored on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 16-bit floats: half the size, about three decimal digits.
    Half,
    /// 32-bit floats.
    Single,
}
