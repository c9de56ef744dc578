//! The loss of clips over their labelled frames.

use burn::tensor::{Int, Tensor, TensorData};

use super::{Boundary, FrameLoss};
use crate::loss::{boundary_cross_entropy, boundary_weights, focal_loss, smoothed_cross_entropy};

/// Part of the boundary term in the loss, the published one.
const BOUNDARY_PART: f32 = 0.5;

/// What the logits of frames are compared with, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Criterion {
    pub(super) loss: FrameLoss,
    pub(super) boundary: Option<Boundary>,
    /// Not violent, violent.
    pub(super) class_weights: [f32; 2],
}

impl Criterion {
    /// The loss of a batch over its labelled frames; `None` if there are none.
    ///
    /// # Shapes
    ///
    /// - logits: `[clips, frames, 2]`
    /// - labels: one a frame, clip after clip
    /// - output: `[1]`
    pub(super) fn loss(&self, logits: Tensor<3>, labels: &[Option<bool>]) -> Option<Tensor<1>> {
        let [clips, frames, classes] = logits.dims();
        let labelled = (0..).zip(labels);
        let (places, classes_of): (Vec<i64>, Vec<i64>) = labelled
            .filter_map(|(place, label)| Some((place, i64::from((*label)?))))
            .unzip();
        if places.is_empty() {
            return None;
        }
        let device = logits.device();
        let numbers = |numbers: &[i64]| Tensor::<1, Int>::from_data(numbers, &device);
        let logits = logits
            .reshape([clips * frames, classes])
            .select(0, numbers(&places));
        let targets = numbers(&classes_of);
        let weights = Tensor::from_data(self.class_weights, &device);
        let main = match self.loss {
            FrameLoss::CrossEntropy { smoothing } => {
                smoothed_cross_entropy(logits.clone(), targets.clone(), weights, smoothing)
            }
            FrameLoss::Focal { gamma } => {
                focal_loss(logits.clone(), targets.clone(), weights, gamma)
            }
        };
        let Some(boundary) = self.boundary else {
            return Some(main);
        };
        let weights = boundary.weigh(labels, frames);
        let weights = TensorData::new(weights, [places.len()]);
        let weights = Tensor::from_data(weights, &device);
        Some(main + boundary_cross_entropy(logits, targets, weights) * BOUNDARY_PART)
    }
}

impl Boundary {
    /// Weights of the labelled frames of clips of that many frames.
    fn weigh(self, labels: &[Option<bool>], frames: usize) -> Vec<f32> {
        let clips = labels.chunks(frames);
        let weights = clips.flat_map(|labels| boundary_weights(labels, self.weight, self.radius));
        let labelled = weights.zip(labels).filter(|(_, label)| label.is_some());
        labelled.map(|(weight, _)| weight).collect()
    }
}
