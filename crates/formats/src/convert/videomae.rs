//! Whether published weights are those of a VideoMAE of these sizes.

use crate::architecture::{ClipConfig, VideoMaeConfig};
use crate::element::malformed;
use crate::error::WeightsError;
use crate::weights::{WeightTensor, Weights};

/// Names end so, whatever stands before them.
const PROJECTION: &str = "embeddings.patch_embeddings.projection.weight";
const EXPAND: &str = "encoder.layer.0.intermediate.dense.weight";

/// Says what another VideoMAE is, rather than which of its weights is the first that does not fit. Heads are not seen in weights.
///
/// # Errors
///
/// [`WeightsError::Malformed`] with the size that differs.
pub(super) fn expect_sizes(config: &ClipConfig, named: &Weights) -> Result<(), WeightsError> {
    let Some(VideoMaeConfig {
        patch,
        tubelet,
        width,
        layers,
        hidden,
        ..
    }) = config.videomae()
    else {
        return Ok(());
    };
    let find = |end: &str| {
        let found = named.iter().find(|(name, _)| is_within(name, end));
        found.map(|(_, tensor)| tensor)
    };
    let axis = |tensor: Option<&WeightTensor>, axis: usize| tensor?.shape.get(axis).copied();
    let (projection, expand) = (find(PROJECTION), find(EXPAND));
    let there = (0..named.len())
        .take_while(|layer| find(&format!("encoder.layer.{layer}.output.dense.weight")).is_some())
        .count();
    for (size, expected, got) in [
        ("hidden_size", width, axis(projection, 0)),
        ("tubelet_size", tubelet, axis(projection, 2)),
        ("patch_size", patch, axis(projection, 3)),
        ("intermediate_size", hidden, axis(expand, 0)),
        ("num_hidden_layers", layers, Some(there)),
    ] {
        match got {
            Some(got) if got != expected && projection.is_some() => {
                let whose = match config.has_config() {
                    true => "the config says",
                    false => "expected",
                };
                let name = config.name;
                return Err(malformed(
                    "weights",
                    format!(
                        "weights are of a VideoMAE with `{size}` {got}, {whose} {expected} for {name}"
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a name is this one, or ends with it after a dot.
fn is_within(name: &str, end: &str) -> bool {
    let before = name.strip_suffix(end);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}
