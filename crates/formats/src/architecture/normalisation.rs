//! Normalisations that several networks share.

use crate::metadata::Normalisation;

/// ImageNet's mean and standard deviation on pixels from 0 to 255.
pub(super) const IMAGENET: Normalisation = Normalisation {
    mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
    std: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
};

/// EfficientNet-Lite's.
pub(super) const LITE: Normalisation = Normalisation {
    mean: [127.0; 3],
    std: [128.0; 3],
};

/// Pixels to `[-1, 1]`.
pub(super) const HALF: Normalisation = Normalisation {
    mean: [127.5; 3],
    std: [127.5; 3],
};
