//! EfficientNet as timm lays out its state dict and as EmotiEffLib exports it.

use super::super::convolution::ConvolutionConfig;
use super::super::published::{Layer, PublishedNetwork};
use super::EfficientNetConfig;

/// timm's `tf_` models keep TensorFlow's constant.
const BATCH_NORM_EPSILON: f64 = 1e-3;

/// The layers of a network; names are timm's.
pub(in super::super) fn published(config: EfficientNetConfig) -> PublishedNetwork {
    PublishedNetwork {
        name: config.name,
        width: config.width(),
        epsilon: BATCH_NORM_EPSILON,
        layers: layers(config),
        // A plain classifier, or one wrapped into a `Sequential`.
        classifiers: &["classifier", "classifier.0"],
        unused: Vec::new(),
    }
}

fn layers(config: EfficientNetConfig) -> Vec<Layer> {
    let normalised = |prefix: &str, name: &str, batch_norm: &str, config: &ConvolutionConfig| {
        Layer::new(format!("{prefix}{name}"), config)
            .unbiased()
            .batch_norm(format!("{prefix}{batch_norm}"))
    };
    let mut layers = vec![normalised("", "conv_stem", "bn1", &config.stem())];
    for block in config.blocks() {
        let prefix = format!("{}.", block.name);
        let mut batch_norms = ["bn1", "bn2", "bn3"].into_iter();
        let mut normalised = |name: &str, config: &ConvolutionConfig| {
            let batch_norm = batch_norms.next().expect("a block has at most three");
            normalised(&prefix, name, batch_norm, config)
        };
        if let Some(expand) = &block.expand {
            layers.push(normalised("conv_pw", expand));
        }
        layers.push(normalised("conv_dw", &block.depthwise));
        let project = normalised(block.project_name(), &block.project);
        for (name, config) in [
            ("se.conv_reduce", &block.reduce),
            ("se.conv_expand", &block.excite),
        ] {
            layers.push(Layer::new(format!("{prefix}{name}"), config));
        }
        layers.push(project);
    }
    layers.push(normalised("", "conv_head", "bn2", &config.head()));
    layers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{GraphConvolution, Metadata, PublishedWeights, WeightTensor, Weights};

    #[test]
    fn layers_are_in_execution_order() {
        let layers = layers(EfficientNetConfig::B0);
        let names: Vec<_> = layers.iter().map(Layer::name).collect();
        assert_eq!(names.len(), 81);
        assert_eq!(
            names[..5],
            [
                "conv_stem",
                "blocks.0.0.conv_dw",
                "blocks.0.0.se.conv_reduce",
                "blocks.0.0.se.conv_expand",
                "blocks.0.0.conv_pw"
            ]
        );
        assert_eq!(names[5..7], ["blocks.1.0.conv_pw", "blocks.1.0.conv_dw"]);
        assert_eq!(names[79..], ["blocks.6.0.conv_pwl", "conv_head"]);
    }

    #[test]
    fn a_graph_of_another_size_is_refused() {
        let graph = |convolutions| PublishedWeights::Graph {
            named: Weights::default(),
            convolutions,
            operations: Vec::new(),
            classifier: None,
        };
        let refusal = |weights: &PublishedWeights| {
            published(EfficientNetConfig::B0)
                .canonical(weights, Metadata::default())
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(
            refusal(&graph(vec![])),
            "graph file is malformed: 0 convolutions, expected the 81 of emotieffnet-b0"
        );
        let stem = GraphConvolution {
            name: "624".to_owned(),
            weight: WeightTensor {
                shape: vec![16, 3, 3, 3],
                values: vec![0.0; 16 * 27],
            },
            bias: None,
            groups: 1,
            strides: [2, 2],
        };
        assert_eq!(
            refusal(&graph(vec![stem])),
            "weight `conv_stem (convolution 1, `624` in the file).weight` has shape [16, 3, 3, 3], expected [32, 3, 3, 3]"
        );
    }
}
