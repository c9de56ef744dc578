//! Linear-chain conditional random field (CRF) whose emissions are the logits of a BiLSTM.
//!
//! Lafferty et al., "Conditional random fields", ICML 2001: the forward algorithm computes the likelihood of a sequence
//! of classes, Viterbi's algorithm the most likely sequence.

use burn::module::{Module, Param};
use burn::nn::Dropout;
use burn::tensor::{Int, Tensor, s};

use super::CLASSES;
use super::lstm::{BiLstm, Sizes};
use super::parameters::{Initial, Names, Source};
use super::sequence::TemporalNetwork;
use crate::weights::WeightsError;

pub(super) const TRANSITIONS: &str = "crf.transitions";
pub(super) const START: &str = "crf.start_transitions";
pub(super) const END: &str = "crf.end_transitions";

#[derive(Module, Debug)]
pub(super) struct Crf {
    emissions: BiLstm,
    /// Score of each class, by column, after each class, by row.
    transitions: Param<Tensor<2>>,
    /// Score of each class in the first frame.
    start: Param<Tensor<1>>,
    /// Score of each class in the last frame.
    end: Param<Tensor<1>>,
}

impl Crf {
    pub(super) fn build(sizes: Sizes, source: &mut Source) -> Result<Self, WeightsError> {
        let initial = Initial::Normal(0.1);
        Ok(Self {
            emissions: BiLstm::build(sizes, source)?,
            transitions: source.parameter(TRANSITIONS, [CLASSES; 2], initial)?,
            start: source.parameter(START, [CLASSES], initial)?,
            end: source.parameter(END, [CLASSES], initial)?,
        })
    }

    /// Negative log-likelihood of the classes, mean over the windows: `[1]`.
    pub(super) fn loss(&self, logits: Tensor<3>, classes: Tensor<2, Int>) -> Tensor<1> {
        let partition = self.log_partition(logits.clone());
        (partition - self.score(logits, classes)).mean()
    }

    /// Score of the classes, `[batch]`.
    fn score(&self, logits: Tensor<3>, classes: Tensor<2, Int>) -> Tensor<1> {
        let [batch, time, _] = logits.dims();
        let class = |frame: usize| classes.clone().slice(s![.., frame]).reshape([batch]);
        let emissions: Tensor<3> = logits.gather(2, classes.clone().unsqueeze_dim(2));
        let score = self.start.val().select(0, class(0))
            + emissions.reshape([batch, time]).sum_dim(1).squeeze_dim(1)
            + self.end.val().select(0, class(time - 1));
        if time == 1 {
            return score;
        }
        let before = classes.clone().slice(s![.., 0..time - 1]);
        let after = classes.slice(s![.., 1..time]);
        let pairs = (before * CLASSES as i64 + after).reshape([batch * (time - 1)]);
        let transitions = self.transitions.val().reshape([CLASSES * CLASSES]);
        let transitions: Tensor<2> = transitions.select(0, pairs).reshape([batch, time - 1]);
        score + transitions.sum_dim(1).squeeze_dim(1)
    }

    /// Logarithm of the sum of `exp(score)` over all sequences of classes, `[batch]`.
    fn log_partition(&self, logits: Tensor<3>) -> Tensor<1> {
        let [_, time, _] = logits.dims();
        let emissions = |frame: usize| logits.clone().narrow(1, frame, 1).squeeze_dim::<2>(1);
        let transitions = self.transitions.val().unsqueeze_dim::<3>(0);
        let mut scores = self.start.val().unsqueeze_dim::<2>(0) + emissions(0);
        for frame in 1..time {
            let paths = scores.unsqueeze_dim::<3>(2) + transitions.clone();
            scores = log_sum_exp(paths, 1).squeeze_dim::<2>(1) + emissions(frame);
        }
        log_sum_exp(scores + self.end.val().unsqueeze_dim::<2>(0), 1).squeeze_dim(1)
    }

    /// Most likely sequence of classes for the logits of one window, frame after frame; `true` is violent.
    ///
    /// Reads the parameters back from the device.
    pub(super) fn decode(&self, logits: &[f32]) -> Vec<bool> {
        let read = |tensor: Tensor<1>| -> Vec<f32> {
            tensor
                .into_data()
                .convert::<f32>()
                .try_into_vec()
                .expect("just converted to f32")
        };
        let transitions = read(self.transitions.val().reshape([CLASSES * CLASSES]));
        let [start, end] = [&self.start, &self.end].map(|scores| read(scores.val()));
        viterbi(
            logits,
            [
                [transitions[0], transitions[1]],
                [transitions[2], transitions[3]],
            ],
            [start[0], start[1]],
            [end[0], end[1]],
        )
    }
}

impl TemporalNetwork for Crf {
    fn features(&self) -> usize {
        self.emissions.features()
    }

    fn names(&self) -> Names<'_> {
        let mut names = self.emissions.names();
        names.add(TRANSITIONS, &self.transitions);
        names.add(START, &self.start);
        names.add(END, &self.end);
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        self.emissions.forward(features, dropout)
    }
}

fn log_sum_exp<const D: usize>(values: Tensor<D>, axis: usize) -> Tensor<D> {
    let largest = values.clone().detach().max_dim(axis);
    (values - largest.clone()).exp().sum_dim(axis).log() + largest
}

/// Sequence with the highest score; class 0 in a tie.
fn viterbi(
    logits: &[f32],
    transitions: [[f32; 2]; 2],
    start: [f32; 2],
    end: [f32; 2],
) -> Vec<bool> {
    let (frames, _) = logits.as_chunks::<CLASSES>();
    let Some((first, rest)) = frames.split_first() else {
        return Vec::new();
    };
    let mut scores = [0, 1].map(|class| start[class] + first[class]);
    // For each frame after the first and each of its classes: whether the best path comes from a violent frame.
    let mut sources = Vec::with_capacity(rest.len());
    for frame in rest {
        let paths =
            [0, 1].map(|class| [0, 1].map(|before| scores[before] + transitions[before][class]));
        let source = paths.map(|[calm, violent]| violent > calm);
        scores = [0, 1].map(|class| paths[class][usize::from(source[class])] + frame[class]);
        sources.push(source);
    }
    let mut class = scores[1] + end[1] > scores[0] + end[0];
    let mut classes = vec![class];
    for source in sources.iter().rev() {
        class = source[usize::from(class)];
        classes.push(class);
    }
    classes.reverse();
    classes
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use proptest::prelude::*;

    use super::*;

    fn score(
        path: &[bool],
        logits: &[[f32; 2]],
        transitions: [[f32; 2]; 2],
        start: [f32; 2],
        end: [f32; 2],
    ) -> f32 {
        let class = |frame: usize| usize::from(path[frame]);
        let emissions: f32 = (0..path.len())
            .map(|frame| logits[frame][class(frame)])
            .sum();
        let steps: f32 = (1..path.len())
            .map(|frame| transitions[class(frame - 1)][class(frame)])
            .sum();
        start[class(0)] + emissions + steps + end[class(path.len() - 1)]
    }

    proptest! {
        #[test]
        fn no_sequence_scores_higher(
            logits in prop::collection::vec([-3.0_f32..3.0, -3.0..3.0], 1..9),
            transitions in [[-3.0_f32..3.0, -3.0..3.0], [-3.0_f32..3.0, -3.0..3.0]],
            start in [-3.0_f32..3.0, -3.0..3.0],
            end in [-3.0_f32..3.0, -3.0..3.0],
        ) {
            let score = |path: &[bool]| score(path, &logits, transitions, start, end);
            let found = viterbi(logits.as_flattened(), transitions, start, end);
            prop_assert_eq!(found.len(), logits.len());
            let best = (0..1_u32 << logits.len())
                .map(|bits| (0..logits.len()).map(|frame| bits >> frame & 1 == 1).collect::<Vec<_>>())
                .map(|path| score(&path))
                .fold(f32::NEG_INFINITY, f32::max);
            prop_assert!((score(&found) - best).abs() < 1e-4);
        }
    }

    #[test]
    fn windows_of_no_or_one_frame_are_decoded_and_scored() {
        assert!(viterbi(&[], [[0.0; 2]; 2], [0.0; 2], [0.0; 2]).is_empty());
        let device = Device::flex();
        let mut source = Source::seeded(0, 1, &device);
        let crf = Crf::build(Sizes::published(1), &mut source).expect("seeded");
        let loss = |class| {
            let classes = Tensor::<2, Int>::from_data([[class]], &device);
            crf.loss(Tensor::from_data([[[0.4, -0.3]]], &device), classes)
        };
        // The likelihoods of both sequences of one frame sum to 1.
        let likelihoods = loss(0).neg().exp() + loss(1).neg().exp();
        assert!((likelihoods.into_scalar::<f32>() - 1.0).abs() < 1e-6);
    }
}
