//! Temporal heads from published violence checkpoints, which hold the parameters of backbone and head together.
//!
//! The modules of the published training code name the head `temporal_head`, or `lstm`, `head` and `crf`.

use burn::tensor::Device;

use super::{FusionKind, Joining, OverTime, SecondStream, TemporalHead, TemporalKind};
use crate::weights::{Metadata, PublishedWeights, WeightTensor, Weights, WeightsError};

/// Prefixes of the backbones' parameters.
const BACKBONES: [&str; 4] = ["encoder.", "backbone.", "rgb_encoder.", FLOW];
/// Prefix of the backbone for optical flow.
const FLOW: &str = "flow_encoder.";
/// Prefixes of the head's parameters.
const HEADS: [&str; 5] = ["temporal_head.", "lstm.", "head.", "cls_head.", "crf."];
/// Prefix of what skeletons go through.
const SKELETONS: &str = "skeleton_";
/// Prefix of the layers that join two streams.
const FUSION: &str = "fusion.";
/// Prefixes of the parameters of a head over two streams.
const TWO_STREAMS: [&str; 5] = [SKELETONS, FUSION, "temporal_head.", "lstm.", "head."];
/// Published prefixes that differ, with their canonical form: Video Swin's classifier, a classifier after dropout in a
/// `Sequential`, and the encoder layers in modules that name them differently.
const ALIASES: [(&str, &str); 4] = [
    ("cls_head.", "head."),
    ("head.1.", "head."),
    (
        "temporal_head.encoder.layers.",
        "temporal_head.transformer.layers.",
    ),
    ("temporal_head.layers.", "temporal_head.transformer.layers."),
];

/// Extracts the temporal head of a violence checkpoint in canonical form; its kind follows from the names of its
/// parameters.
///
/// The metadata names the architecture only, not the backbone.
///
/// # Errors
///
/// [`WeightsError::Missing`] for a checkpoint without a temporal head, [`WeightsError::Unsupported`] for one that joins
/// streams of features in another way than the published ones, and the errors of [`TemporalHead::load`].
///
/// ```
/// use affectlens::head::{TemporalConfig, TemporalKind, temporal_from_checkpoint};
/// use affectlens::weights::PublishedWeights;
/// use burn::tensor::Device;
///
/// let config = TemporalConfig { kind: TemporalKind::Tcn, features: 8 };
/// let weights = config.init(0, &Device::flex()).to_weights();
/// let published = PublishedWeights::Named(weights.clone());
/// assert_eq!(temporal_from_checkpoint(&published)?, weights);
/// # Ok::<(), affectlens::weights::WeightsError>(())
/// ```
pub fn temporal_from_checkpoint(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    let named = published.named();
    let kind = kind_of_checkpoint(published).ok_or_else(|| WeightsError::Missing {
        name: "temporal_head".to_owned(),
        hint: " (nor are there `lstm` or, beside `encoder`, `head`)".to_owned(),
    })?;
    let has_prefix =
        |name: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let heads: &[&str] = match kind {
        TemporalKind::Fusion(_) => &TWO_STREAMS,
        _ => &HEADS,
    };
    let stream = [SKELETONS, FUSION, FLOW];
    let mut names = named.iter().map(|(name, _)| name);
    if !matches!(kind, TemporalKind::Fusion(_))
        && let Some(name) = names.find(|name| has_prefix(name, &stream))
    {
        return Err(WeightsError::Unsupported {
            format: "checkpoint",
            what: format!("a second stream of features in an unknown way (`{name}`)"),
        });
    }
    let mut weights = Weights::new(Metadata {
        architecture: kind.architecture(),
        ..Metadata::default()
    });
    for (name, tensor) in named.iter() {
        if has_prefix(name, heads) && !name.ends_with(".num_batches_tracked") {
            let name = canonical_name(name, kind);
            let WeightTensor { shape, values } = tensor.clone();
            let shape = canonical_shape(&name, shape, kind);
            weights.insert(name, shape, values)?;
        }
    }
    TemporalHead::load(&weights, &Device::flex())?;
    Ok(weights)
}

/// Recognises the kind of temporal head in a checkpoint by the names of its parameters; `None` without a head.
pub fn kind_of_checkpoint(published: &PublishedWeights) -> Option<TemporalKind> {
    let named = published.named();
    let has = |prefix: &str| named.iter().any(|(name, _)| name.starts_with(prefix));
    let has_backbone = BACKBONES.iter().any(|prefix| has(prefix));
    let has_linear = has_backbone && (has("head.") || has("cls_head."));
    let kinds = [
        (has("temporal_head.lstm."), TemporalKind::BiLstmConv),
        (
            has("temporal_head.pos_embed"),
            TemporalKind::Transformer { layers: 2 },
        ),
        (has("temporal_head."), TemporalKind::Tcn),
        (has("lstm.") && has("crf."), TemporalKind::Crf),
        (has("lstm."), TemporalKind::BiLstm),
        (has_linear, TemporalKind::Conv1d),
    ];
    let found = kinds.into_iter().find(|(is_there, _)| *is_there);
    found.map(|(_, kind)| fusion_of(kind, has).map_or(kind, TemporalKind::Fusion))
}

/// The kind of head over two streams, if there are two; `over_time` is recognised already.
fn fusion_of(over_time: TemporalKind, has: impl Fn(&str) -> bool) -> Option<FusionKind> {
    let over_time = match over_time {
        TemporalKind::Tcn => OverTime::Tcn,
        TemporalKind::BiLstm => OverTime::BiLstm,
        _ => return None,
    };
    let first = |kinds: &[(&str, Joining)]| {
        let found = kinds.iter().find(|(prefix, _)| has(prefix));
        found.map_or(Joining::Early, |(_, joining)| *joining)
    };
    let joining = first(&[
        ("fusion.proj.", Joining::Concat),
        ("fusion.gate.", Joining::Gated),
        ("fusion.cross_attn_", Joining::Attention),
    ]);
    let stream = match (has("skeleton_proj."), has(FLOW)) {
        (true, false) => SecondStream::Skeletons,
        (false, true) => SecondStream::Flow,
        _ => return None,
    };
    FusionKind::find(stream, joining, over_time)
}

fn canonical_name(name: &str, kind: TemporalKind) -> String {
    // In a convolutional network `temporal_head.layers` is canonical.
    let is_transformer = matches!(kind, TemporalKind::Transformer { .. });
    let aliases = ALIASES
        .iter()
        .filter(|(_, canonical)| is_transformer || !canonical.contains("transformer"));
    let renamed = aliases
        .into_iter()
        .find_map(|(alias, canonical)| Some(format!("{canonical}{}", name.strip_prefix(alias)?)));
    renamed.unwrap_or_else(|| name.to_owned())
}

/// Adds or removes the last axis of a weight: a linear layer equals a convolution one frame wide.
fn canonical_shape(name: &str, mut shape: Vec<usize>, kind: TemporalKind) -> Vec<usize> {
    match (name, kind) {
        ("head.weight", TemporalKind::Conv1d) if shape.len() == 2 => shape.push(1),
        ("head.weight", TemporalKind::BiLstm | TemporalKind::Crf | TemporalKind::Fusion(_))
            if shape.len() == 3 && shape[2] == 1 =>
        {
            shape.truncate(2);
        }
        _ => {}
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::TemporalConfig;

    fn canonical(kind: TemporalKind) -> Weights {
        let second = kind.fusion().map_or(0, |fusion| fusion.stream().width());
        let features = 3 + second;
        let config = TemporalConfig { kind, features };
        config.init(0, &Device::flex()).to_weights()
    }

    /// Checkpoint of a head over an encoder, with some prefixes of names replaced by an alias.
    fn checkpoint(kind: TemporalKind, aliases: &[(&str, &str)]) -> PublishedWeights {
        let mut weights = Weights::default();
        for (name, tensor) in canonical(kind).iter() {
            let renamed = aliases
                .iter()
                .find_map(|(prefix, alias)| Some(format!("{alias}{}", name.strip_prefix(prefix)?)));
            let name = renamed.unwrap_or_else(|| name.to_owned());
            weights
                .insert(name, tensor.shape.clone(), tensor.values.clone())
                .expect("as many values");
        }
        for name in [
            "encoder.head.norm.weight",
            "temporal_head.layers.0.1.num_batches_tracked",
        ] {
            if kind == TemporalKind::Tcn || name.starts_with("encoder") {
                weights.insert(name, vec![1], vec![1.0]).expect("one value");
            }
        }
        PublishedWeights::Named(weights)
    }

    #[test]
    fn every_head_is_recognised_by_its_names() {
        // The motion heads are ours: no published checkpoint has them.
        let ours = [TemporalKind::Motion, TemporalKind::MotionLinear];
        let published = TemporalKind::ALL
            .into_iter()
            .filter(|kind| !ours.contains(kind));
        for kind in published {
            let found = temporal_from_checkpoint(&checkpoint(kind, &[])).expect("a head");
            assert_eq!(found, canonical(kind));
        }
    }

    #[test]
    fn every_head_over_two_streams_is_recognised_by_its_names() {
        for kind in FusionKind::ALL {
            let encoders: &[&str] = match (kind.stream(), kind.joining()) {
                (SecondStream::Skeletons, Joining::Early) => &["encoder"],
                (SecondStream::Skeletons, _) => &["rgb_encoder"],
                (SecondStream::Flow, _) => &["rgb_encoder", "flow_encoder"],
            };
            let kind = TemporalKind::Fusion(kind);
            let mut weights = canonical(kind);
            for encoder in encoders {
                let name = format!("{encoder}.head.norm.weight");
                weights.insert(name, vec![1], vec![1.0]).expect("one value");
            }
            let found = temporal_from_checkpoint(&PublishedWeights::Named(weights));
            assert_eq!(found.expect("a head"), canonical(kind));
        }
    }

    #[test]
    fn other_names_become_canonical() {
        let transformer = TemporalKind::Transformer { layers: 2 };
        let layers = "temporal_head.transformer.layers.";
        for (kind, prefix, alias) in [
            (TemporalKind::BiLstm, "head.", "head.1."),
            (TemporalKind::Conv1d, "head.", "cls_head."),
            (transformer, layers, "temporal_head.encoder.layers."),
            (transformer, layers, "temporal_head.layers."),
        ] {
            let published = checkpoint(kind, &[(prefix, alias)]);
            let found = temporal_from_checkpoint(&published).expect("a head");
            assert_eq!(found, canonical(kind));
        }
    }

    #[test]
    fn a_linear_layer_and_a_convolution_may_stand_for_each_other() {
        for (kind, shape) in [
            (TemporalKind::Conv1d, vec![2, 3]),
            (TemporalKind::BiLstm, vec![2, 512, 1]),
        ] {
            let PublishedWeights::Named(mut weights) = checkpoint(kind, &[]) else {
                panic!("named");
            };
            let values = weights.remove("head.weight").expect("is there").values;
            weights
                .insert("head.weight", shape, values)
                .expect("as many");
            let found = temporal_from_checkpoint(&PublishedWeights::Named(weights));
            assert_eq!(found.expect("a head"), canonical(kind));
        }
    }

    #[test]
    fn other_checkpoints_are_refused() {
        let refusal = |change: fn(&mut Weights)| {
            let PublishedWeights::Named(mut weights) = checkpoint(TemporalKind::BiLstm, &[]) else {
                panic!("named");
            };
            change(&mut weights);
            temporal_from_checkpoint(&PublishedWeights::Named(weights))
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(
            refusal(|weights| *weights = Weights::default()),
            "weight `temporal_head` is missing (nor are there `lstm` or, beside `encoder`, `head`)"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("fusion.norm.bias", vec![0], vec![])
                .expect("empty")),
            "checkpoint file uses a second stream of features in an unknown way (`fusion.norm.bias`), which is not \
             supported"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("head.weight", vec![3, 512], vec![0.0; 3 * 512])
                .expect("as many")),
            "weight `head.weight` has shape [3, 512], expected [2, 512]"
        );
        assert_eq!(
            refusal(|weights| weights
                .insert("head.4.bias", vec![0], vec![])
                .expect("empty")),
            "weight `head.4.bias` does not belong to temporal-bilstm"
        );
    }
}
