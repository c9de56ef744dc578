//! Heads of any sizes and settings.

use std::fmt::Write as _;

use affectlens::{
    calibration::{ActionUnitSettings, ExpressionSettings, ViolenceSettings},
    head::{
        ActionUnits, ActionUnitsConfig, Mlp, MlpConfig, TemporalConfig, TemporalHead, TemporalKind,
        ValenceArousal, ValenceArousalConfig, temporal_from_checkpoint,
    },
    weights::{Metadata, PublishedWeights, Weights},
};
use affectlens_fuzz::Target;
use burn::tensor::Device;

/// Most values of the tensors of one file.
const MOST_VALUES: usize = 1 << 20;

/// A file as a text that is short and says all that a reader decides by: the architecture, a setting a line with `=`, and
/// a tensor a line with its axes.
fn text_of(weights: &Weights, settings: &str) -> String {
    let mut text = format!("{}\n{settings}", weights.metadata.architecture);
    for (name, tensor) in weights.iter() {
        let axes: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        writeln!(text, "{name} {}", axes.join(" ")).expect("in memory");
    }
    text
}

/// The file of a text; `None` if it has too many values, or axes that are none.
fn weights_of(text: &str) -> Option<Weights> {
    let (architecture, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut weights = Weights::new(Metadata {
        architecture: architecture.to_owned(),
        ..Metadata::default()
    });
    let mut left = MOST_VALUES;
    for line in rest.lines() {
        if let Some((key, value)) = line.split_once('=') {
            let extra = &mut weights.metadata.extra;
            extra.insert(key.to_owned(), value.to_owned());
            continue;
        }
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let shape: Vec<usize> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
        let count = shape
            .iter()
            .try_fold(1_usize, |product, &axis| product.checked_mul(axis))?;
        left = left.checked_sub(count)?;
        // No value is invalid anywhere: variances are above zero.
        weights.insert(name, shape, vec![1.0; count]).ok()?;
    }
    Some(weights)
}

#[test]
fn fuzz_heads() {
    let device = Device::flex();
    let sizes = MlpConfig {
        inputs: 8,
        hidden: 4,
        classes: 8,
    };
    let units = ActionUnitsConfig {
        embedding: 8,
        hidden: 4,
        logits: 8,
        units: 12,
    };
    let affect = |hidden| ValenceArousalConfig { inputs: 8, hidden };
    let calibrated = "gla_bias=0 0 0 0 0 0 0 1\nconfidence=0.5\nblend=0.5\nclasses=8\n";
    let seeds = [
        text_of(&sizes.init(1, &device).to_weights(), calibrated),
        text_of(&units.init(1, &device).to_weights(), calibrated),
        text_of(&affect(None).init(1, &device).to_weights(), ""),
        text_of(&affect(Some(3)).init(1, &device).to_weights(), ""),
    ];
    Target::new("heads", &seeds)
        .words(&["\n", " 0", " 32768", " 32769", "=NaN", "net.1.weight"])
        .run(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some(weights) = weights_of(&text) else {
                return Ok(());
            };
            let extra = &weights.metadata.extra;
            let settings = [
                ExpressionSettings::read(extra, 8).map(drop),
                ActionUnitSettings::read(extra, 12).map(drop),
            ];
            let heads = [
                Mlp::load(&weights, &device).map(drop),
                ActionUnits::load(&weights, &device).map(drop),
                ValenceArousal::load(&weights, &device).map(drop),
            ];
            for result in settings {
                result.map_err(|error| error.to_string())?;
            }
            // Two of three refuse whatever the third reads.
            let refusals = heads.into_iter().filter_map(Result::err);
            let refusals: Vec<_> = refusals.map(|error| error.to_string()).collect();
            match refusals.len() {
                3 => Err(refusals.concat()),
                _ => Ok(()),
            }
        });
}

#[test]
fn fuzz_temporal_heads() {
    let device = Device::flex();
    let settings = "window_length=16\nframes_per_second=8\nthreshold=0.5\n";
    let seeds = TemporalKind::ALL.map(|kind| {
        let head = TemporalConfig { kind, features: 8 }.init(1, &device);
        text_of(&head.to_weights(), settings)
    });
    Target::new("temporal heads", &seeds)
        .words(&[
            "encoder.weight 1\n",
            "rgb_backbone.weight 1\n",
            "temporal_head.lstm.",
            "temporal_head.pos_embed",
            "temporal_head.layers.",
            "lstm.weight_ih_l11",
            "crf.",
            " 0",
            " 63",
            " 65",
            " 32769",
            "=1e30",
            "\n",
        ])
        // The sizes of published heads lie in the code.
        .memory(256 << 20)
        .run(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Some(weights) = weights_of(&text) else {
                return Ok(());
            };
            let extra = &weights.metadata.extra;
            ViolenceSettings::read(extra).map_err(|error| error.to_string())?;
            let loaded = TemporalHead::load(&weights, &device);
            let converted = temporal_from_checkpoint(&PublishedWeights::Named(weights));
            match (loaded, converted) {
                (Err(error), Err(other)) => Err(format!("{error}; {other}")),
                _ => Ok(()),
            }
        });
}
