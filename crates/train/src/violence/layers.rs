//! Where a parameter's layer stands in its backbone, for step sizes that fall towards the input.

/// What comes before a layer's number in a published name.
const NUMBERED: [&str; 5] = [
    "encoder.layer.",
    "features.",
    "layers.",
    "stages.",
    "blocks.",
];

/// The layer of a parameter: one more than the first number behind a word of [`NUMBERED`]; 0 for parameters without one,
/// such as those that make the first tokens.
pub(super) fn layer_of(name: &str) -> usize {
    let number = |word: &&str| {
        let start = name.match_indices(*word).map(|(start, _)| start);
        let mut whole = start.filter(|start| *start == 0 || name[..*start].ends_with('.'));
        let behind = &name[whole.next()? + word.len()..];
        behind.split('.').next()?.parse::<usize>().ok()
    };
    let mut numbers = NUMBERED.iter().filter_map(number);
    numbers.next().map_or(0, |number| number.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_found_as_published() {
        for (name, layer) in [
            // Video Swin's patches, its first stage and its last norm.
            ("encoder.features.0.0.weight", 1),
            ("encoder.features.1.1.attn.qkv.weight", 2),
            ("encoder.features.6.0.mlp.3.bias", 7),
            ("encoder.norm.weight", 0),
            // VideoMAE.
            ("encoder.embeddings.patch_embeddings.projection.weight", 0),
            ("encoder.encoder.layer.11.output.dense.weight", 12),
            // ConvNeXt: the stage, not the block.
            ("encoder.stages.2.blocks.7.conv_dw.weight", 3),
            ("temporal_head.layers.3.0.weight", 4),
            // ResNet's names have their numbers elsewhere.
            ("encoder.layer3.1.conv1.weight", 0),
            ("encoder.multilayers.3.weight", 0),
        ] {
            assert_eq!(layer_of(name), layer, "{name}");
        }
    }
}
