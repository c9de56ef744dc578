//! BlazePose's networks, whose graphs have more outputs than are read here.

use super::pictured;
use crate::architecture::{Architecture, Convolution, Layers, PoseLandmarksConfig, blazepose};
use crate::error::WeightsError;
use crate::published::PublishedWeights;
use crate::weights::Weights;

/// Name of the published head that is left away: the points in metres.
const WORLD: &str = "world";
/// Numbers of that head.
const WORLD_VALUES: usize = 3 * blazepose::landmarks::POINTS;

/// Gives `pose_detection.tflite` its canonical names.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`].
pub(super) fn detector_weights(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    use blazepose::detector::{INPUT_SIDE, NAME, NORMALISATION};
    let order = Layers::new(Architecture::PoseDetector).convolutions();
    let weights = published.name_convolutions(NAME, &order)?;
    Ok(pictured(weights, INPUT_SIDE, NORMALISATION))
}

/// Gives `pose_landmark_lite.tflite` and its larger versions their canonical names.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`].
pub(super) fn landmarks_weights(
    config: PoseLandmarksConfig,
    published: &PublishedWeights,
) -> Result<Weights, WeightsError> {
    use blazepose::landmarks::{INPUT_SIDE, NORMALISATION};
    let layers = Layers::new(Architecture::PoseLandmarks(config)).convolutions();
    let (order, left_away) = published_order(config, layers);
    let mut weights = published.name_convolutions(config.name, &order)?;
    for name in left_away {
        for part in ["weight", "bias"] {
            weights.remove(&format!("{name}.{part}"));
        }
    }
    Ok(pictured(weights, INPUT_SIDE, NORMALISATION))
}

/// The layers of the published graph, and the names of those that are left away.
fn published_order(
    config: PoseLandmarksConfig,
    mut layers: Vec<Convolution>,
) -> (Vec<Convolution>, Vec<String>) {
    let [side, over] = config.mask();
    let added = [
        ("blocks.0.depthwise", side),
        (config.after_mask(), over),
        ("presence", vec![config.head(WORLD, WORLD_VALUES)]),
    ];
    let mut left_away = Vec::new();
    for (before, more) in added {
        let place = layers.iter().position(|layer| layer.name == before);
        let place = place.expect("a layer of the description");
        left_away.extend(more.iter().map(|layer| layer.name.clone()));
        layers.splice(place..place, more);
    }
    (layers, left_away)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::GraphConvolution;
    use crate::weights::WeightTensor;

    /// A graph of these layers whose weights are all the place of their layer.
    fn graph(order: Vec<Convolution>) -> PublishedWeights {
        let published = |(place, layer): (usize, Convolution)| {
            let shape = layer.config.weight_shape().to_vec();
            let tensor = |shape: Vec<usize>| WeightTensor {
                values: vec![place as f32; shape.iter().product()],
                shape,
            };
            GraphConvolution {
                name: format!("conv2d_{place}"),
                bias: Some(tensor(shape[..1].to_vec())),
                weight: tensor(shape),
                groups: layer.config.groups(),
                strides: [layer.config.stride; 2],
            }
        };
        PublishedWeights::Graph {
            named: Weights::default(),
            convolutions: order.into_iter().enumerate().map(published).collect(),
            operations: Vec::new(),
            classifier: None,
        }
    }

    fn place(weights: &Weights, name: &str) -> f32 {
        let weight = weights.get(&format!("{name}.weight"));
        weight.expect("canonical name").values[0]
    }

    #[test]
    fn mask_and_world_are_left_away_at_their_places() {
        // Places as in the published graphs; the mask has two layers beside the trunk and eleven over the pyramid.
        for (config, layers, heatmaps) in [
            (PoseLandmarksConfig::LITE, 88, 68),
            (PoseLandmarksConfig::FULL, 96, 68),
            (PoseLandmarksConfig::HEAVY, 198, 160),
        ] {
            let own = Layers::new(Architecture::PoseLandmarks(config)).convolutions();
            let (order, left_away) = published_order(config, own.clone());
            assert_eq!((order.len(), left_away.len()), (layers, 14));
            let published = graph(order);
            let weights = landmarks_weights(config, &published).expect("the published graph");
            assert_eq!(weights.len(), 2 * own.len());
            assert_eq!(weights.metadata.input_side, Some(256));
            for (name, expected) in [
                ("blocks.0.expand", 3),
                ("blocks.0.depthwise", 6),
                ("heatmaps", heatmaps),
                ("landmarks", layers - 3),
                ("presence", layers - 1),
            ] {
                assert_eq!(place(&weights, name), expected as f32, "{name}");
            }
        }
    }

    #[test]
    fn another_version_is_refused() {
        let own = Layers::new(Architecture::PoseLandmarks(PoseLandmarksConfig::FULL));
        let (order, _) = published_order(PoseLandmarksConfig::FULL, own.convolutions());
        let published = graph(order);
        let error = landmarks_weights(PoseLandmarksConfig::LITE, &published).expect_err("larger");
        assert_eq!(
            error.to_string(),
            "tflite file is malformed: graph has 96 convolutions, pose-landmarks has 88"
        );
        let error = detector_weights(&published).expect_err("no detector");
        assert_eq!(
            error.to_string(),
            "tflite file is malformed: graph has 96 convolutions, pose-detector has 73"
        );
    }

    #[test]
    fn layers_of_the_detector_come_as_they_run() {
        let order = Layers::new(Architecture::PoseDetector).convolutions();
        assert_eq!(order.len(), 73);
        let weights = detector_weights(&graph(order)).expect("the published graph");
        for (name, expected) in [
            ("pyramid.1.lateral.depthwise", 16.0),
            ("last.depthwise", 50.0),
            ("heads.0.scores.depthwise", 61.0),
            ("heads.2.boxes.pointwise", 72.0),
        ] {
            assert_eq!(place(&weights, name), expected, "{name}");
        }
    }
}
