//! Which network finds faces.

use clap::ValueEnum;

/// `--detector`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DetectorOption {
    /// Short range, and where that finds nothing full range; pictures with both, and small faces in parts of them. Without
    /// weights of the full range, as short-range.
    #[default]
    Auto,
    /// Faces of at least about a tenth of the picture's longer side.
    ShortRange,
    /// Smaller faces too, at about five times the cost.
    FullRange,
}
