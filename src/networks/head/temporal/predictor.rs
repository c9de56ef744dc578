//! The same heads for prediction, in plain loops on the host.
//!
//! A head reads numbers that lie on the host already, and takes a few milliseconds a window. With the networks that training
//! uses, a page would have to load Burn's general operations for it, a quarter of all that it loads.

mod layers;
mod lstm;
mod motion;
mod parameters;
mod rows;
mod tcn;
mod transformer;

use std::fmt;

use super::TemporalKind;
use crate::kernel::linear_shares;
use crate::weights::{Weights, WeightsError};
use layers::Matrix;
use lstm::BiLstm;
use motion::Motion;
use parameters::Parameters;
use rows::Rows;
use tcn::{Convolution, Tcn};
use transformer::Transformer;

/// Network over the frames of a window.
trait Predict: fmt::Debug + Send + Sync {
    /// Length of an embedding.
    fn features(&self) -> usize;

    /// Logits of the frames, two each.
    fn logits(&self, frames: Rows) -> Rows;

    /// Largest number of frames; `None` without a limit.
    fn longest_window(&self) -> Option<usize> {
        None
    }
}

/// A [`TemporalHead`](super::TemporalHead) that predicts and does not learn.
///
/// ```
/// use affectlens::head::{TemporalConfig, TemporalKind, TemporalPredictor};
/// use burn::tensor::Device;
///
/// let config = TemporalConfig { kind: TemporalKind::Tcn, features: 8 };
/// let weights = config.init(7, &Device::flex()).to_weights();
/// let predictor = TemporalPredictor::load(&weights)?;
/// let probabilities = predictor.predict(&[0.5; 32 * 8], 32);
/// assert_eq!(probabilities.len(), 32);
/// # Ok::<(), affectlens::weights::WeightsError>(())
/// ```
#[derive(Debug)]
pub struct TemporalPredictor(Box<dyn Predict>);

impl TemporalPredictor {
    /// Loads a head as [`TemporalHead::load`](super::TemporalHead::load) does.
    ///
    /// # Errors
    ///
    /// The errors of [`TemporalHead::load`](super::TemporalHead::load); in a browser also [`WeightsError::Unsupported`] for a
    /// head that reads two streams.
    pub fn load(weights: &Weights) -> Result<Self, WeightsError> {
        let kind = TemporalKind::of(weights)?;
        let mut source = Parameters::new(weights);
        let network: Box<dyn Predict> = match kind {
            TemporalKind::Tcn => Box::new(Tcn::load(&mut source)?),
            TemporalKind::BiLstm => Box::new(BiLstm::load(&mut source)?),
            TemporalKind::BiLstmConv => Box::new(BiLstm::load_nested(&mut source)?),
            TemporalKind::Conv1d => Box::new(Convolution::load_alone(&mut source)?),
            TemporalKind::Transformer { .. } => Box::new(Transformer::load(&mut source)?),
            TemporalKind::Crf => Box::new(BiLstm::load_emissions(&mut source)?),
            TemporalKind::Motion => Box::new(Motion::load(true, &mut source)?),
            TemporalKind::MotionLinear => Box::new(Motion::load(false, &mut source)?),
            TemporalKind::Fusion(kind) => return Self::load_fusion(kind, weights),
        };
        source.expect_no_others()?;
        Ok(Self(network))
    }

    /// Length of the embedding of a frame; with a second stream, of both together.
    pub fn features(&self) -> usize {
        self.0.features()
    }

    /// Largest number of frames in a window, the number of positions of a transformer; `None` without a limit.
    pub fn longest_window(&self) -> Option<usize> {
        self.0.longest_window()
    }

    /// Logits of the frames of one window, two a frame: not violent and violent, before softmax.
    ///
    /// `features` are those of the frames, or of fewer moments at equal distances, which are interpolated linearly to the
    /// frames first, `[moments, features]` row by row.
    ///
    /// # Panics
    ///
    /// If there is no moment, their numbers do not have the length in [`features`](Self::features), or a window has more
    /// frames than [`longest_window`](Self::longest_window).
    pub fn logits(&self, features: &[f32], frames: usize) -> Vec<f32> {
        let width = self.features();
        assert!(
            !features.is_empty() && features.len().is_multiple_of(width),
            "{} numbers for moments of {width}",
            features.len()
        );
        let longest = self.longest_window().unwrap_or(usize::MAX);
        assert!(frames <= longest, "{frames} frames, at most {longest}");
        let moments = Rows::new(features.to_vec(), width);
        self.0.logits(over_frames(moments, frames)).values
    }

    /// Probability of violence in each frame of one window; arguments as of [`logits`](Self::logits).
    ///
    /// # Panics
    ///
    /// As [`logits`](Self::logits).
    pub fn predict(&self, features: &[f32], frames: usize) -> Vec<f32> {
        super::probabilities(&self.logits(features, frames))
    }
}

/// Interpolates linearly along time; before the centre of the first moment there are the features of the first, behind that
/// of the last those of the last.
fn over_frames(moments: Rows, frames: usize) -> Rows {
    if moments.count() == frames {
        return moments;
    }
    let shares = linear_shares(moments.count(), frames);
    let mut spread = Rows::zeros(frames, moments.width);
    let moments = Matrix::from_inputs([moments.count(), moments.width], moments.values);
    moments.add_products(&shares, &mut spread.values);
    spread
}

#[cfg(not(target_family = "wasm"))]
mod fusion {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::{Predict, Rows, TemporalPredictor};
    use crate::head::temporal::{CLASSES, FusionKind, TemporalHead};
    use crate::weights::{Weights, WeightsError};

    impl Predict for TemporalHead {
        fn features(&self) -> usize {
            self.config().features
        }

        fn logits(&self, frames: Rows) -> Rows {
            let shape = [1, frames.count(), frames.width];
            let frames = TensorData::new(frames.values, shape);
            let logits = self.forward(Tensor::from_data(frames, &Device::flex()));
            Rows::new(logits.into_data().iter().collect(), CLASSES)
        }
    }

    impl TemporalPredictor {
        /// Heads over two streams are predicted with the networks of training.
        pub(super) fn load_fusion(_: FusionKind, weights: &Weights) -> Result<Self, WeightsError> {
            let head = TemporalHead::load(weights, &Device::flex())?;
            Ok(Self(Box::new(head)))
        }
    }
}

#[cfg(target_family = "wasm")]
impl TemporalPredictor {
    fn load_fusion(kind: super::super::FusionKind, _: &Weights) -> Result<Self, WeightsError> {
        Err(WeightsError::Unsupported {
            format: "weights",
            what: format!("a second stream of features ({})", kind.stream().name()),
        })
    }
}
