//! A backbone for grey faces with classifiers over its embedding.

use burn::{
    module::Module,
    tensor::{Tensor, activation::softmax},
};

use crate::{loss::soft_cross_entropy, state::values};
use affectlens::{backbone::GreyBackbone, head::Mlp};

/// Several classifiers over one embedding; each has classes and pictures of its own.
#[derive(Module, Debug)]
pub(super) struct FaceNetwork {
    pub(super) encoder: GreyBackbone,
    pub(super) heads: Vec<Mlp>,
}

/// A batch: pictures of all classifiers, one after another.
#[derive(Debug)]
pub(super) struct FaceBatch {
    /// `[batch, 1, side, side]`, normalised.
    pub(super) pictures: Tensor<4>,
    /// One a classifier.
    pub(super) parts: Vec<BatchPart>,
}

/// What a classifier is to make of its pictures.
#[derive(Debug)]
pub(super) struct BatchPart {
    /// `[pictures, classes]`, sums of 1.
    pub(super) targets: Tensor<2>,
    /// Of the embedding and of hidden units.
    pub(super) dropout: [Tensor<2>; 2],
    /// Weights of the classes, `[classes]`.
    pub(super) class_weights: Tensor<1>,
    /// Weight of the classifier's loss.
    pub(super) weight: f32,
}

impl FaceNetwork {
    /// The sum of the classifiers' losses.
    pub(super) fn loss(&self, batch: FaceBatch) -> Tensor<1> {
        let embeddings = self.encoder.forward(batch.pictures);
        let mut start = 0;
        let losses = self.heads.iter().zip(batch.parts).map(|(head, part)| {
            let [count, _] = part.targets.dims();
            let embeddings = embeddings.clone().narrow(0, start, count);
            start += count;
            let logits = head.forward_training(embeddings, part.dropout);
            soft_cross_entropy(logits, part.targets, part.class_weights) * part.weight
        });
        let sum = losses.reduce(|sum, loss| sum + loss);
        sum.expect("at least one classifier")
    }

    /// Probabilities of a classifier, a row a picture.
    pub(super) fn predict(&self, head: usize, pictures: Tensor<4>) -> Vec<Vec<f32>> {
        let logits = self.heads[head].forward(self.encoder.forward(pictures));
        let [_, classes] = logits.dims();
        let probabilities = values(softmax(logits, 1));
        probabilities.chunks(classes).map(<[f32]>::to_vec).collect()
    }
}
