//! Losses of classifiers that see rare classes, of values, and of action units.

use burn::tensor::{
    Int, Tensor,
    activation::{log_sigmoid, log_softmax},
};

/// Mean cross-entropy in which every example counts with the weight of its class, divided by the **sum of the
/// weights** of the batch (as PyTorch does), not by its size.
///
/// # Shapes
///
/// - logits: `[batch, classes]`
/// - labels: `[batch]`
/// - weights: `[classes]`; at least one example of the batch has a weight above 0
/// - output: `[1]`
pub(crate) fn weighted_cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    weights: Tensor<1>,
) -> Tensor<1> {
    let weights = weights.select(0, labels.clone());
    let losses = -log_likelihood(logits, labels);
    (losses * weights.clone()).sum() / weights.sum()
}

/// [`weighted_cross_entropy`] with label smoothing, as PyTorch combines the two: the part `smoothing` is the sum over all
/// classes of their cross-entropy, each with its own weight, divided by the number of classes and by the sum of the
/// labels' weights.
///
/// # Shapes
///
/// As [`weighted_cross_entropy`].
pub(crate) fn smoothed_cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    weights: Tensor<1>,
    smoothing: f32,
) -> Tensor<1> {
    let [_, classes] = logits.dims();
    let plain = weighted_cross_entropy(logits.clone(), labels.clone(), weights.clone());
    if smoothing == 0.0 {
        return plain;
    }
    let every = log_softmax(logits, 1) * weights.clone().unsqueeze();
    let uniform = -every.sum() / weights.select(0, labels).sum();
    plain * (1.0 - smoothing) + uniform * (smoothing / classes as f32)
}

/// Cross-entropy with labels that are spread over classes: each example weighs what the classes of its label weigh, and the
/// sum is divided by the sum of these weights.
///
/// # Shapes
///
/// - logits, targets: `[examples, classes]`; targets sum to 1
/// - weights: `[classes]`
/// - output: `[1]`
pub(crate) fn soft_cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<2>,
    weights: Tensor<1>,
) -> Tensor<1> {
    let losses = -(log_softmax(logits, 1) * targets.clone()).sum_dim(1);
    let weights = (targets * weights.unsqueeze()).sum_dim(1);
    (losses * weights.clone()).sum() / weights.sum()
}

/// Cross-entropy in which every frame has a weight of its own, divided by the sum of these weights.
///
/// # Shapes
///
/// - logits: `[frames, classes]`
/// - labels, frame_weights: `[frames]`; the weights do not sum to 0
/// - output: `[1]`
pub(crate) fn boundary_cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    frame_weights: Tensor<1>,
) -> Tensor<1> {
    let losses = -log_likelihood(logits, labels);
    (losses * frame_weights.clone()).sum() / frame_weights.sum()
}

/// Weight of each frame of a clip in [`boundary_cross_entropy`]: `weight` within `radius` frames of a change of the
/// label, else 1, and 0 without a label. A frame without a label counts as one without violence when changes are
/// looked for, as published.
pub(crate) fn boundary_weights(labels: &[Option<bool>], weight: f32, radius: usize) -> Vec<f32> {
    let is_violent = |place: usize| labels[place] == Some(true);
    let mut weights = vec![1.0; labels.len()];
    for change in (1..labels.len()).filter(|&place| is_violent(place) != is_violent(place - 1)) {
        let end = (change + radius + 1).min(labels.len());
        weights[change.saturating_sub(radius)..end].fill(weight);
    }
    for (weight, label) in weights.iter_mut().zip(labels) {
        if label.is_none() {
            *weight = 0.0;
        }
    }
    weights
}

/// Focal loss: cross-entropy scaled by `(1 - p)^gamma`, which fades out what is already right, and by the
/// weight of the class; divided by the batch size.
///
/// # Shapes
///
/// As [`weighted_cross_entropy`].
pub(crate) fn focal_loss(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    weights: Tensor<1>,
    gamma: f32,
) -> Tensor<1> {
    let weights = weights.select(0, labels.clone());
    let likelihood = log_likelihood(logits, labels);
    // Rounding can lift p above 1, and a power of a negative number is not a number.
    let miss = (likelihood.clone().exp().neg() + 1.0).clamp_min(1e-6);
    (miss.powf_scalar(gamma) * -likelihood * weights).mean()
}

/// What is minimised when valence and arousal are trained.
///
/// CCC is the concordance correlation coefficient of the batch, its mean is that over the outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ValenceArousalLoss {
    /// `1 - mean CCC`: what the published results were trained with.
    #[default]
    Concordance,
    /// `concordance * (1 - mean CCC) + squared_error * MSE`, the squared error averaged over both outputs; the
    /// authors tried 1 and 0.5.
    Combined {
        /// Weight of the concordance.
        concordance: f32,
        /// Weight of the mean squared error.
        squared_error: f32,
    },
    /// Equation (5) of the paper: the squared errors of both outputs, averaged over the batch, minus both CCC. Its
    /// gradient is that of [`Combined`](Self::Combined) with 2 and 2.
    Paper,
}

impl ValenceArousalLoss {
    /// The loss of a batch.
    ///
    /// # Shapes
    ///
    /// - predictions, labels: `[batch, 2]`
    /// - output: `[1]`
    pub fn measure(self, predictions: Tensor<2>, labels: Tensor<2>) -> Tensor<1> {
        let distance = 1.0 - batch_concordance(predictions.clone(), labels.clone()).mean();
        let squared_error = || (predictions - labels).square().mean();
        match self {
            Self::Concordance => distance,
            Self::Combined {
                concordance,
                squared_error: weight,
            } => distance * concordance + squared_error() * weight,
            Self::Paper => (distance + squared_error() - 1.0) * 2.0,
        }
    }
}

/// Concordance correlation coefficient of each output over the batch, with population moments and 1e-8 added to the
/// denominator.
///
/// # Shapes
///
/// - predictions, labels: `[batch, outputs]`
/// - output: `[outputs]`
pub(crate) fn batch_concordance(predictions: Tensor<2>, labels: Tensor<2>) -> Tensor<1> {
    let moments = |values: Tensor<2>| {
        let mean = values.clone().mean_dim(0);
        (values - mean.clone(), mean)
    };
    let ((x, mean_x), (y, mean_y)) = (moments(predictions), moments(labels));
    let covariance = (x.clone() * y.clone()).mean_dim(0);
    let spread = (x.square() + y.square()).mean_dim(0) + (mean_x - mean_y).square() + 1e-8;
    (covariance * 2.0 / spread).squeeze_dim(0)
}

/// Mean binary cross-entropy of logits in which labels count with the weight that they have in their output.
///
/// # Shapes
///
/// - logits, labels: `[batch, outputs]`, labels 0 or 1
/// - weights: of negative and of positive labels, `[outputs]` each
/// - output: `[1]`
pub(crate) fn balanced_binary_cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<2>,
    weights: [Tensor<1>; 2],
) -> Tensor<1> {
    let [negative, positive] = weights.map(|weights| weights.unsqueeze::<2>());
    let present: Tensor<2> = log_sigmoid(logits.clone()) * labels.clone() * positive;
    let absent: Tensor<2> = log_sigmoid(-logits) * (1.0 - labels) * negative;
    -(present + absent).mean()
}

/// Log-probability of each label, `[batch]`.
fn log_likelihood(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    log_softmax(logits, 1)
        .gather(1, labels.unsqueeze_dim(1))
        .squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::{
        super::golden::{golden, violence},
        *,
    };

    /// Losses are sums of a few logarithms in f32.
    const TOLERANCE: f32 = 1e-6;

    const LOGITS: [[f32; 3]; 3] = [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0], [0.5, 0.5, 2.0]];
    const LABELS: [i64; 3] = [0, 1, 0];
    const WEIGHTS: [f32; 3] = [1.0, 10.0, 20.0];
    /// Cross-entropy of each row, computed by hand.
    const LOSSES: [f32; 3] = [0.169_846, 0.551_444_7, 1.868_981_1];

    fn batch(device: &Device) -> (Tensor<2>, Tensor<1, Int>, Tensor<1>) {
        (
            Tensor::from_data(LOGITS, device),
            Tensor::from_data(LABELS, device),
            Tensor::from_data(WEIGHTS, device),
        )
    }

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_scalar::<f32>()
    }

    #[test]
    fn weighted_cross_entropy_divides_by_the_sum_of_weights() {
        let (logits, labels, weights) = batch(&Device::flex());
        let loss = value(weighted_cross_entropy(logits, labels, weights));
        assert!((loss - 0.629_439_5).abs() < TOLERANCE, "{loss}");
    }

    #[test]
    fn labels_of_one_class_give_the_weighted_cross_entropy_and_spread_ones_its_mixture() {
        let (logits, labels, weights) = batch(&Device::flex());
        let targets = |rows: [[f32; 3]; 3]| Tensor::<2>::from_data(rows, &Device::flex());
        let [one, two, three] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let hard = targets([one, two, one]);
        let loss = value(soft_cross_entropy(logits.clone(), hard, weights.clone()));
        let expected = value(weighted_cross_entropy(logits.clone(), labels, weights));
        assert!((loss - expected).abs() < TOLERANCE, "{loss}, {expected}");
        // Half of the first row is the third class, 3 less likely: 1.5 more.
        let spread = targets([[0.5, 0.0, 0.5], two, three]);
        let loss = value(soft_cross_entropy(
            logits,
            spread,
            Tensor::ones([3], &Device::flex()),
        ));
        let expected = (LOSSES[0] + 1.5 + LOSSES[1] + LOSSES[2] - 1.5) / 3.0;
        assert!((loss - expected).abs() < TOLERANCE, "{loss}, {expected}");
    }

    #[test]
    fn focal_loss_without_focus_is_the_weighted_mean_over_the_batch() {
        let (logits, labels, weights) = batch(&Device::flex());
        let expected = (LOSSES[0] + 10.0 * LOSSES[1] + LOSSES[2]) / 3.0;
        let loss = value(focal_loss(logits, labels, weights, 0.0));
        assert!(
            (loss - expected).abs() < 10.0 * TOLERANCE,
            "{loss}, expected {expected}"
        );
    }

    #[test]
    fn focal_loss_fades_out_what_is_right() {
        let (logits, labels, _) = batch(&Device::flex());
        let weights = Tensor::from_data([1.0_f32, 1.0, 1.0], &Device::flex());
        let expected: f32 = LOSSES
            .iter()
            .map(|loss| (1.0 - (-loss).exp()).powi(2) * loss)
            .sum::<f32>()
            / 3.0;
        let loss = value(focal_loss(logits, labels, weights, 2.0));
        assert!(
            (loss - expected).abs() < TOLERANCE,
            "{loss}, expected {expected}"
        );
    }

    #[test]
    fn labels_count_with_their_weight() {
        let device = Device::flex();
        for (negative, expected) in [([1.0, 1.0], 0.963_174_1), ([7.0, 4.0], 1.358_097)] {
            let loss = balanced_binary_cross_entropy(
                Tensor::from_data([[0.3, -1.2]], &device),
                Tensor::from_data([[1.0, 0.0]], &device),
                [negative, [3.0, 20.0]].map(|it| Tensor::from_data(it, &device)),
            );
            assert!((value(loss) - expected).abs() < TOLERANCE, "{expected}");
        }
    }

    #[test]
    fn losses_are_those_of_pytorch() {
        let golden = golden();
        let device = Device::flex();
        let class_weights = || Tensor::from_data(golden.class_weights.as_slice(), &device);
        let (logits, labels) = (
            golden.expression.rows(&device),
            golden.expression.classes(&device),
        );
        let predictions = golden.valence_arousal.rows(&device).tanh();
        let predictions = predictions.narrow(1, 0, 2);
        let values = golden.valence_arousal.labels(&device);
        let (units, present) = (
            golden.action_units.rows(&device).narrow(1, 0, 12),
            golden.action_units.labels(&device),
        );
        let positive = Tensor::<1>::from_data(golden.positive_weights.as_slice(), &device);
        let va = |loss: ValenceArousalLoss| loss.measure(predictions.clone(), values.clone());
        let losses = [
            weighted_cross_entropy(
                logits.clone().narrow(1, 0, 8),
                labels.clone(),
                class_weights(),
            ),
            focal_loss(logits.narrow(1, 0, 8), labels, class_weights(), 2.0),
            va(ValenceArousalLoss::Concordance),
            va(ValenceArousalLoss::Combined {
                concordance: 1.0,
                squared_error: 0.5,
            }),
            va(ValenceArousalLoss::Paper),
            balanced_binary_cross_entropy(units, present, [positive.ones_like(), positive]),
        ];
        for (index, (loss, expected)) in losses.into_iter().zip(&golden.losses).enumerate() {
            let loss = value(loss);
            assert!(
                (loss - expected).abs() < 1e-5,
                "loss {index}: {loss}, expected {expected}"
            );
        }
    }

    #[test]
    fn constant_batch_has_finite_gradients() {
        let device = Device::flex().autodiff();
        let predictions = Tensor::<2>::full([4, 2], 0.5, &device).require_grad();
        let loss = ValenceArousalLoss::Concordance
            .measure(predictions.clone(), Tensor::full([4, 2], 0.5, &device));
        let gradient = predictions.grad(&loss.backward()).expect("was tracked");
        let gradient: Vec<f32> = gradient.into_data().try_into_vec().expect("f32");
        assert!(
            gradient.iter().all(|value| value.is_finite()),
            "{gradient:?}"
        );
    }

    type Loss = fn(Tensor<2>, Tensor<1, Int>, Tensor<1>) -> Tensor<1>;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        /// Central differences of an f32 loss around 1 with this step are right to about 1e-3.
        const STEP: f32 = 1e-2;
        let plain = Device::flex();
        let device = Device::flex().autodiff();
        let losses: [Loss; 2] = [weighted_cross_entropy, |logits, labels, weights| {
            focal_loss(logits, labels, weights, 2.0)
        }];
        for loss in losses {
            let (logits, labels, weights) = batch(&device);
            let logits = logits.require_grad();
            let gradients = loss(logits.clone(), labels, weights).backward();
            let gradient = logits
                .grad(&gradients)
                .expect("logits were tracked")
                .into_data();
            let gradient = gradient.as_slice::<f32>().expect("f32 gradient").to_vec();
            for (index, gradient) in gradient.iter().enumerate() {
                let moved = |step: f32| {
                    let mut values = LOGITS;
                    values[index / 3][index % 3] += step;
                    let (_, labels, weights) = batch(&plain);
                    value(loss(Tensor::from_data(values, &plain), labels, weights))
                };
                let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!(
                    (gradient - expected).abs() < 2e-3,
                    "logit {index}: {gradient}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn losses_of_violence_are_those_of_pytorch() {
        let golden = violence();
        let device = Device::flex();
        let known: Vec<usize> = (0..golden.labels.len())
            .filter(|&frame| golden.labels[frame] >= 0)
            .collect();
        let all: Vec<Option<bool>> = golden
            .labels
            .iter()
            .map(|&label| (label >= 0).then_some(label == 1))
            .collect();
        let weights = boundary_weights(&all, 2.0, 1);
        assert_eq!(weights[4], 0.0, "the frame without a label");
        let logits: Vec<f32> = known.iter().flat_map(|&it| golden.logits[it]).collect();
        let shape = [known.len(), 2];
        let logits = Tensor::<2>::from_data(burn::tensor::TensorData::new(logits, shape), &device);
        let labels: Vec<i64> = known.iter().map(|&it| golden.labels[it].into()).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
        let weights: Vec<f32> = known.iter().map(|&it| weights[it]).collect();
        let frames = Tensor::<1>::from_data(weights.as_slice(), &device);
        let classes = Tensor::<1>::from_data([0.893, 1.307], &device);
        let smoothed = |smoothing| {
            smoothed_cross_entropy(logits.clone(), labels.clone(), classes.clone(), smoothing)
        };
        let losses = [
            smoothed(0.0),
            smoothed(0.1),
            focal_loss(logits.clone(), labels.clone(), classes.clone(), 1.5),
            boundary_cross_entropy(logits.clone(), labels.clone(), frames),
        ];
        for (loss, expected) in losses.into_iter().zip(golden.losses) {
            let loss = loss.into_scalar::<f32>();
            assert!(
                (loss - expected).abs() < TOLERANCE,
                "{loss}, expected {expected}"
            );
        }
    }

    /// Made with PyTorch.
    #[test]
    fn frames_about_a_change_weigh_more() {
        let labels: Vec<_> = (0..16).map(|frame| Some(frame >= 8)).collect();
        let weights = boundary_weights(&labels, 2.0, 3);
        let heavy: Vec<usize> = (0..16).filter(|&frame| weights[frame] == 2.0).collect();
        assert_eq!(heavy, [5, 6, 7, 8, 9, 10, 11]);
    }
}
