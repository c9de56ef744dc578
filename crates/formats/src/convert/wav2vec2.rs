//! wav2vec 2.0 as Hugging Face publishes it, in canonical form.

use std::collections::BTreeSet;

use crate::architecture::{
    LEFT_ASIDE, POSITION, PUBLISHED_POSITION, SpeechParameter, Wav2Vec2Config,
};
use crate::error::WeightsError;
use crate::metadata::Metadata;
use crate::weights::Weights;

const FORMAT: &str = "wav2vec 2.0";
/// What stands before the names of checkpoints with a classifier.
const PREFIX: &str = "wav2vec2.";
/// Names of the length and the direction of the convolution of positions: before and since torch 2.1.
const WEIGHT_NORMS: [[&str; 2]; 2] = [
    ["weight_g", "weight_v"],
    [
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ],
];

/// Canonical weights of a published checkpoint: our names, the convolution of positions as one weight.
///
/// # Errors
///
/// [`WeightsError::Unsupported`] for a larger network or one with layer norm in its convolutions, others for a missing,
/// misshapen or unexpected parameter.
pub(super) fn canonical(
    config: Wav2Vec2Config,
    named: &Weights,
    metadata: Metadata,
) -> Result<Weights, WeightsError> {
    let is_prefixed = named.iter().any(|(name, _)| name.starts_with(PREFIX));
    let prefix = if is_prefixed { PREFIX } else { "" };
    expect_base(config, named, prefix)?;
    let mut rest: BTreeSet<&str> = named.iter().map(|(name, _)| name).collect();
    for name in LEFT_ASIDE {
        rest.remove(name);
        rest.remove(format!("{PREFIX}{name}").as_str());
    }
    let mut weights = Weights::new(metadata);
    for SpeechParameter {
        name,
        published,
        shape,
    } in config.parameters()
    {
        let values = if name == POSITION {
            let layer = format!("{prefix}{PUBLISHED_POSITION}");
            let [length, direction] = WEIGHT_NORMS
                .into_iter()
                .map(|names| names.map(|part| format!("{layer}.{part}")))
                .find(|[length, _]| named.get(length).is_some())
                .unwrap_or_else(|| WEIGHT_NORMS[0].map(|part| format!("{layer}.{part}")));
            let taps = shape[2];
            let lengths = named.values(&length, &[1, 1, taps])?;
            let directions = named.values(&direction, &shape)?;
            rest.remove(length.as_str());
            rest.remove(direction.as_str());
            fold(lengths, directions)
        } else {
            let published = format!("{prefix}{published}");
            rest.remove(published.as_str());
            named.values(&published, &shape)?.to_vec()
        };
        weights.insert(name, shape, values)?;
    }
    match rest.first() {
        None => Ok(weights),
        Some(name) => Err(WeightsError::Unexpected {
            name: (*name).to_owned(),
            architecture: config.name.to_owned(),
        }),
    }
}

/// Weight norm over the last axis: each tap's direction brought to its length.
#[expect(clippy::cast_possible_truncation, reason = "weights are stored as f32")]
fn fold(lengths: &[f32], directions: &[f32]) -> Vec<f32> {
    let mut squares = vec![0.0_f64; lengths.len()];
    for taps in directions.chunks_exact(lengths.len()) {
        for (square, tap) in squares.iter_mut().zip(taps) {
            *square += f64::from(*tap).powi(2);
        }
    }
    let scales: Vec<f64> = lengths
        .iter()
        .zip(squares)
        // A direction of zeros has none.
        .map(|(length, square)| f64::from(*length) / square.sqrt().max(f64::MIN_POSITIVE))
        .collect();
    directions
        .iter()
        .zip(scales.iter().cycle())
        .map(|(tap, scale)| (f64::from(*tap) * scale) as f32)
        .collect()
}

/// Says what another wav2vec 2.0 is, rather than which of its weights is the first that does not fit.
fn expect_base(config: Wav2Vec2Config, named: &Weights, prefix: &str) -> Result<(), WeightsError> {
    let unsupported = |what| {
        Err(WeightsError::Unsupported {
            format: FORMAT,
            what,
        })
    };
    let has = |name: &str| named.get(&format!("{prefix}{name}")).is_some();
    let extractor = "feature_extractor.conv_layers";
    if has(&format!("{extractor}.1.layer_norm.weight")) || has(&format!("{extractor}.1.conv.bias"))
    {
        let what = "layer norm in its convolutions, as stable-layer-norm checkpoints have";
        return unsupported(format!("{what} (expected {}, which has none)", config.name));
    }
    let width = named
        .get(&format!("{prefix}encoder.layer_norm.weight"))
        .map(|norm| norm.values.len());
    let layers = (0..named.len())
        .take_while(|index| has(&format!("encoder.layers.{index}.layer_norm.weight")))
        .count();
    match width {
        Some(width) if (width, layers) != (config.width, config.layers) && layers > 0 => {
            unsupported(format!(
                "{layers} layers of width {width} (expected {}: {} layers of width {})",
                config.name, config.layers, config.width
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::WeightTensor;

    const CONFIG: Wav2Vec2Config = Wav2Vec2Config::TEST;

    /// A checkpoint as published; every value of a parameter is its number, but for directions of positions.
    fn checkpoint(prefix: &str, [length, direction]: [&str; 2]) -> Weights {
        let mut weights = Weights::default();
        let mut add = |name: String, shape: &[usize], values: Vec<f32>| {
            let inserted = weights.insert(name, shape.to_vec(), values);
            inserted.expect("as many values");
        };
        for (parameter, number) in CONFIG.parameters().into_iter().zip(1_u8..) {
            let values: usize = parameter.shape.iter().product();
            if parameter.name == POSITION {
                let layer = format!("{prefix}{PUBLISHED_POSITION}");
                let taps = parameter.shape[2];
                let lengths = (0..taps).map(|tap| tap as f32).collect();
                add(format!("{layer}.{length}"), &[1, 1, taps], lengths);
                let ones = vec![2.0; values];
                add(format!("{layer}.{direction}"), &parameter.shape, ones);
            } else {
                let values = vec![f32::from(number); values];
                let name = format!("{prefix}{}", parameter.published);
                add(name, &parameter.shape, values);
            }
        }
        add(format!("{prefix}masked_spec_embed"), &[24], vec![0.5; 24]);
        add("lm_head.weight".to_owned(), &[2, 24], vec![0.5; 48]);
        add("lm_head.bias".to_owned(), &[2], vec![0.5; 2]);
        weights
    }

    fn refusal(weights: &Weights) -> String {
        let error = canonical(CONFIG, weights, Metadata::default()).expect_err("not this network");
        error.to_string()
    }

    #[test]
    fn every_published_form_gives_the_same_weights() {
        let expected = canonical(
            CONFIG,
            &checkpoint("", WEIGHT_NORMS[0]),
            Metadata::default(),
        );
        let expected = expected.expect("whole");
        assert_eq!(expected.len(), CONFIG.parameters().len());
        for prefix in ["", PREFIX] {
            for norms in WEIGHT_NORMS {
                let got = canonical(CONFIG, &checkpoint(prefix, norms), Metadata::default());
                assert_eq!(got.expect("whole"), expected);
            }
        }
        let position = expected.get(POSITION).expect("there");
        // A direction of equal numbers: each of them is the length by the root of how many there are.
        let expected = 3.0 / (24.0_f32 * 8.0).sqrt();
        assert!((position.values[3] - expected).abs() < 1e-7);
        assert_eq!(position.values[0], 0.0);
    }

    #[test]
    fn other_networks_are_refused_by_what_they_are() {
        let base = || checkpoint(PREFIX, WEIGHT_NORMS[1]);
        let tensor = |shape: &[usize]| WeightTensor {
            shape: shape.to_vec(),
            values: vec![0.0; shape.iter().product()],
        };
        let mut stable = base();
        let norm = "wav2vec2.feature_extractor.conv_layers.1.layer_norm.weight";
        stable.put(norm.to_owned(), tensor(&[16]));
        assert_eq!(
            refusal(&stable),
            "wav2vec 2.0 file uses layer norm in its convolutions, as stable-layer-norm checkpoints have (expected \
             wav2vec2-test, which has none), which is not supported"
        );
        let mut large = base();
        let norm = "wav2vec2.encoder.layers.2.layer_norm.weight";
        large.put(norm.to_owned(), tensor(&[24]));
        assert_eq!(
            refusal(&large),
            "wav2vec 2.0 file uses 3 layers of width 24 (expected wav2vec2-test: 2 layers of width 24), which is not \
             supported"
        );
        let mut quantized = base();
        quantized.put("quantizer.codevectors".to_owned(), tensor(&[1]));
        assert_eq!(
            refusal(&quantized),
            "weight `quantizer.codevectors` does not belong to wav2vec2-test"
        );
    }

    #[test]
    fn missing_and_misshapen_weights_are_named() {
        let mut weights = checkpoint("", WEIGHT_NORMS[1]);
        let name = "encoder.layers.1.attention.k_proj.bias";
        let bias = weights.remove(name).expect("there");
        assert!(refusal(&weights).starts_with(&format!("weight `{name}` is missing")));
        let shape = vec![2, bias.values.len() / 2];
        weights.put(name.to_owned(), WeightTensor { shape, ..bias });
        assert_eq!(
            refusal(&weights),
            format!("weight `{name}` has shape [2, 12], expected [24]")
        );
        let mut weights = checkpoint("", WEIGHT_NORMS[1]);
        let name = format!("{PUBLISHED_POSITION}.parametrizations.weight.original0");
        weights.remove(&name).expect("there");
        assert!(refusal(&weights).contains("weight_g` is missing"));
    }
}
