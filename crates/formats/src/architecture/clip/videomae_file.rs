//! Sizes of a VideoMAE as its publisher's config has them, and as canonical files do.
//!
//! Both are JSON under Hugging Face's names; what a config does not say is as in the base network. Tensors alone do not tell
//! how many heads there are.

use serde::{Deserialize, Serialize};

use super::videomae::{EPSILON, VideoMaeConfig};
use crate::element::malformed;
use crate::error::WeightsError;
use crate::weights::expect_units;

/// What errors call the config.
const FORMAT: &str = "VideoMAE config";
const MODEL: &str = "videomae";
/// Most layers, and frames of a clip.
const MOST_LAYERS: usize = 64;
const MOST_FRAMES: usize = 64;
/// Sides of the input, pixels.
const SIDES: [usize; 2] = [16, 512];
/// Most tubes, all of which see each other.
const MOST_TUBES: usize = 1 << 14;

/// A config under its publisher's names.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
struct Stored {
    model_type: String,
    image_size: usize,
    patch_size: usize,
    num_channels: usize,
    num_frames: usize,
    tubelet_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    layer_norm_eps: f32,
    qkv_bias: bool,
    use_mean_pooling: bool,
}

impl Default for Stored {
    fn default() -> Self {
        Self::new(VideoMaeConfig::BASE, 16, super::SIDE)
    }
}

impl Stored {
    fn new(config: VideoMaeConfig, frames: usize, side: u32) -> Self {
        Self {
            model_type: MODEL.to_owned(),
            image_size: side as usize,
            patch_size: config.patch,
            num_channels: 3,
            num_frames: frames,
            tubelet_size: config.tubelet,
            hidden_size: config.width,
            num_hidden_layers: config.layers,
            num_attention_heads: config.heads,
            intermediate_size: config.hidden,
            hidden_act: "gelu".to_owned(),
            layer_norm_eps: EPSILON,
            qkv_bias: true,
            use_mean_pooling: !config.has_norm,
        }
    }

    /// Confirms that such a network is described here.
    fn check(&self) -> Result<(), WeightsError> {
        let expect = |name: &str, got: String, expected: String| match got == expected {
            true => Ok(()),
            false => Err(malformed(
                FORMAT,
                format!("`{name}` is {got}, expected {expected}"),
            )),
        };
        let among = |name: &str, got: usize, [least, most]: [usize; 2]| {
            let range = format!("{least} to {most}");
            let is_there = (least..=most).contains(&got);
            expect(
                name,
                got.to_string(),
                if is_there { got.to_string() } else { range },
            )
        };
        expect("model_type", self.model_type.clone(), MODEL.to_owned())?;
        expect(
            "num_channels",
            self.num_channels.to_string(),
            "3".to_owned(),
        )?;
        expect("hidden_act", self.hidden_act.clone(), "gelu".to_owned())?;
        expect(
            "layer_norm_eps",
            self.layer_norm_eps.to_string(),
            EPSILON.to_string(),
        )?;
        expect("qkv_bias", self.qkv_bias.to_string(), true.to_string())?;
        expect_units("hidden_size", self.hidden_size)?;
        expect_units("intermediate_size", self.intermediate_size)?;
        among(
            "num_hidden_layers",
            self.num_hidden_layers,
            [1, MOST_LAYERS],
        )?;
        among("num_frames", self.num_frames, [1, MOST_FRAMES])?;
        among("image_size", self.image_size, SIDES)?;
        for (part, parts, whole, size) in [
            ("patch_size", self.patch_size, "image_size", self.image_size),
            (
                "tubelet_size",
                self.tubelet_size,
                "num_frames",
                self.num_frames,
            ),
            (
                "num_attention_heads",
                self.num_attention_heads,
                "hidden_size",
                self.hidden_size,
            ),
        ] {
            if parts == 0 || !size.is_multiple_of(parts) {
                let expected = format!("expected a divisor of `{whole}`, {size}");
                return Err(malformed(
                    FORMAT,
                    format!("`{part}` is {parts}, {expected}"),
                ));
            }
        }
        let across = self.image_size / self.patch_size;
        let tubes = self.num_frames / self.tubelet_size * across * across;
        match tubes {
            ..=MOST_TUBES => Ok(()),
            _ => Err(malformed(
                FORMAT,
                format!("there are {tubes} tubes of pixels, expected at most {MOST_TUBES}"),
            )),
        }
    }
}

/// The sizes that a config says: of the network, and frames and side of its clips.
///
/// # Errors
///
/// [`WeightsError::Malformed`] for another network, or sizes that it cannot have.
pub(super) fn read(json: &str) -> Result<(VideoMaeConfig, usize, u32), WeightsError> {
    let stored: Stored =
        serde_json::from_str(json).map_err(|error| malformed(FORMAT, error.to_string()))?;
    stored.check()?;
    let config = VideoMaeConfig {
        patch: stored.patch_size,
        tubelet: stored.tubelet_size,
        width: stored.hidden_size,
        layers: stored.num_hidden_layers,
        heads: stored.num_attention_heads,
        hidden: stored.intermediate_size,
        has_norm: !stored.use_mean_pooling,
    };
    let side = u32::try_from(stored.image_size).expect("checked to be small");
    Ok((config, stored.num_frames, side))
}

/// The config of such sizes.
pub(super) fn write(config: VideoMaeConfig, frames: usize, side: u32) -> String {
    let stored = Stored::new(config, frames, side);
    serde_json::to_string(&stored).expect("names and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_without_sizes_is_the_base() {
        let (config, frames, side) = read("{}").expect("all is as in the base");
        assert_eq!((config, frames, side), (VideoMaeConfig::BASE, 16, 224));
        let small = write(VideoMaeConfig::SMALL, 8, 64);
        assert_eq!(
            read(&small).expect("its own"),
            (VideoMaeConfig::SMALL, 8, 64)
        );
    }

    #[test]
    fn other_networks_and_sizes_are_refused() {
        for (json, expected) in [
            (
                r#"{"model_type": "timesformer"}"#,
                "`model_type` is timesformer, expected videomae",
            ),
            (
                r#"{"hidden_act": "relu"}"#,
                "`hidden_act` is relu, expected gelu",
            ),
            (
                r#"{"qkv_bias": false}"#,
                "`qkv_bias` is false, expected true",
            ),
            (r#"{"num_channels": 1}"#, "`num_channels` is 1, expected 3"),
            (
                r#"{"num_hidden_layers": 65}"#,
                "`num_hidden_layers` is 65, expected 1 to 64",
            ),
            (
                r#"{"num_frames": 0}"#,
                "`num_frames` is 0, expected 1 to 64",
            ),
            (
                r#"{"num_frames": 15}"#,
                "`tubelet_size` is 2, expected a divisor of `num_frames`, 15",
            ),
            (
                r#"{"image_size": 9999}"#,
                "`image_size` is 9999, expected 16 to 512",
            ),
            (
                r#"{"patch_size": 0}"#,
                "`patch_size` is 0, expected a divisor of `image_size`, 224",
            ),
            (
                r#"{"num_attention_heads": 5}"#,
                "`num_attention_heads` is 5, expected a divisor of `hidden_size`, 768",
            ),
            (
                r#"{"patch_size": 2}"#,
                "there are 100352 tubes of pixels, expected at most 16384",
            ),
        ] {
            let error = read(json).expect_err("no such network").to_string();
            assert_eq!(
                error,
                format!("VideoMAE config file is malformed: {expected}")
            );
        }
        let error = read(r#"{"hidden_size": "wide"}"#).expect_err("no number");
        assert!(error.to_string().contains("invalid type"), "{error}");
        let error = read(r#"{"hidden_size": 0}"#).expect_err("no size");
        let expected = "`hidden_size` has 0 units along an axis, expected 1 to 32768";
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}
