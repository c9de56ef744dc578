//! BlazePose's landmarks (`pose_landmark_lite.tflite` and its larger versions): one person to 39 points.
//!
//! The trunk; a pyramid over it gives a map of where each point is likely (heat map), and a row of residual blocks
//! down to 2x2 pixels gives the points themselves. In the largest version these blocks begin at the pyramid's finest map
//! and take up the trunk's maps on their way down. Of the published outputs the mask of the person and the points in
//! metres are left away.

use affectlens_cpu::Activation;

use super::trunk::{Trunk, block, depthwise, pointwise};
use crate::architecture::layer::{Convolution, ConvolutionConfig, Padding, Place};
use crate::architecture::walk::{Beside, Shortcut, Walk};
use crate::metadata::Normalisation;

/// Side of the square input, pixels.
pub const INPUT_SIDE: u32 = 256;

/// Pixels to `[0, 1]`.
pub const NORMALISATION: Normalisation = Normalisation {
    mean: [0.0; 3],
    std: [255.0; 3],
};

/// Points of a person: 33 of the body, 2 that say where to look in the next frame, 4 that are not used.
pub const POINTS: usize = 39;

/// Numbers of a point: x, y, z in input pixels, logits of visibility and of presence.
pub const POINT_VALUES: usize = 5;

/// Side of the heat maps, pixels.
pub const HEATMAP_SIDE: usize = 64;

/// Numbers that the network gives for a person: the points, the logit of presence, then the heat maps' logits, those of
/// one pixel side by side.
pub const VALUES: usize = POINTS * POINT_VALUES + 1 + HEATMAP_SIDE * HEATMAP_SIDE * POINTS;

/// Which of the three sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoseLandmarksConfig {
    /// Name of the architecture in a weights file.
    pub name: &'static str,
    trunk: Trunk,
    /// Channels of the pyramid.
    pyramid: usize,
    /// Residual blocks down to 2x2 pixels: channels, and blocks after the one that halves.
    tail: &'static [(usize, usize)],
    /// Whether the tail begins at the pyramid's finest map; otherwise it begins at the trunk's last one.
    begins_fine: bool,
}

impl PoseLandmarksConfig {
    /// The smallest version.
    pub const LITE: Self = Self {
        name: "pose-landmarks",
        trunk: Trunk {
            first: 8,
            blocks: &[
                block(32, 3, 2, 16),
                block(96, 3, 1, 16),
                block(96, 5, 2, 24),
                block(144, 5, 1, 24),
                block(144, 3, 2, 40),
                block(240, 3, 1, 40),
                block(240, 3, 1, 40),
                block(240, 5, 1, 56),
                block(336, 5, 1, 56),
                block(336, 5, 1, 56),
                block(336, 5, 2, 96),
                block(576, 5, 1, 96),
                block(576, 5, 1, 96),
                block(576, 5, 1, 96),
            ],
            last: 576,
        },
        pyramid: 32,
        tail: &[(192, 2), (192, 3)],
        begins_fine: false,
    };

    /// The middle version.
    pub const FULL: Self = Self {
        name: "pose-landmarks-full",
        trunk: Trunk {
            first: 16,
            blocks: &[
                block(64, 3, 2, 24),
                block(144, 3, 1, 24),
                block(144, 5, 2, 32),
                block(192, 5, 1, 32),
                block(192, 3, 2, 64),
                block(384, 3, 1, 64),
                block(384, 3, 1, 64),
                block(384, 5, 1, 88),
                block(528, 5, 1, 88),
                block(528, 5, 1, 88),
                block(528, 5, 2, 144),
                block(864, 5, 1, 144),
                block(864, 5, 1, 144),
                block(864, 5, 1, 144),
            ],
            last: 864,
        },
        pyramid: 48,
        tail: &[(288, 4), (288, 5)],
        begins_fine: false,
    };

    /// The largest version.
    pub const HEAVY: Self = Self {
        name: "pose-landmarks-heavy",
        trunk: Trunk {
            first: 24,
            blocks: &[
                block(96, 3, 2, 32),
                block(128, 3, 1, 32),
                block(192, 3, 1, 32),
                block(192, 3, 1, 32),
                block(192, 5, 2, 56),
                block(336, 5, 1, 56),
                block(336, 5, 1, 56),
                block(336, 5, 1, 56),
                block(336, 3, 2, 112),
                block(672, 3, 1, 112),
                block(672, 3, 1, 112),
                block(672, 3, 1, 112),
                block(672, 3, 1, 112),
                block(672, 3, 1, 112),
                block(672, 5, 1, 160),
                block(960, 5, 1, 160),
                block(960, 5, 1, 160),
                block(960, 5, 1, 160),
                block(960, 5, 1, 160),
                block(960, 5, 1, 160),
                block(960, 5, 2, 272),
                block(1632, 5, 1, 272),
                block(1632, 5, 1, 272),
                block(1632, 5, 1, 272),
                block(1632, 5, 1, 272),
                block(1632, 5, 1, 272),
                block(1632, 5, 1, 272),
                block(1632, 5, 1, 272),
            ],
            last: 1632,
        },
        pyramid: 48,
        tail: &[(96, 6), (192, 7), (288, 7), (288, 7), (288, 7)],
        begins_fine: true,
    };

    /// All versions.
    pub const ALL: [Self; 3] = [Self::LITE, Self::FULL, Self::HEAVY];

    /// The version of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|config| config.name == name)
    }

    /// Walks the network; gives the points with the logit of presence, then the heat maps' logits.
    pub(in crate::architecture) fn describe<W: Walk>(
        self,
        walk: &mut W,
        input: &W::Map,
    ) -> Result<Vec<W::Map>, W::Error> {
        let (mut laterals, mut contexts) = (Vec::new(), Vec::new());
        let last = self
            .trunk
            .describe(walk, input, |walk, halvings, maps, inputs| {
                // The published mask is made of the first one.
                let Some(level) = halvings.checked_sub(1) else {
                    return Ok(());
                };
                let place = Place::same(format!("laterals.{level}"));
                laterals.push(branch(walk, &place, maps, [inputs, self.pyramid])?);
                if self.begins_fine && level > 0 {
                    let place = Place::same(format!("contexts.{}", level - 1));
                    let channels = self.tail[level - 1].0;
                    contexts.push(branch(walk, &place, maps, [inputs, channels])?);
                }
                Ok(())
            })?;
        let top = Place::same("top");
        let mut fine = branch(walk, &top, &last, [self.trunk.last, self.pyramid])?;
        for lateral in laterals.iter().rev() {
            fine = walk.enlarge(&fine, Activation::Identity, lateral);
        }
        let context = Place::same("context");
        let tail = |channels| [self.trunk.last, channels];
        let (maps, heatmaps) = if self.begins_fine {
            let joins = contexts.len();
            let (before, after) = self.tail.split_at(joins + 1);
            let mut maps = fine.clone();
            let mut inputs = self.pyramid;
            for (index, &(channels, blocks)) in before.iter().enumerate() {
                maps = self.halve(walk, index, [inputs, channels], blocks, &maps)?;
                if let Some(joined) = contexts.get(index) {
                    maps = walk.add(&maps, joined);
                }
                inputs = channels;
            }
            let heatmaps = self.heatmaps(walk, &fine)?;
            let joined = branch(walk, &context, &last, tail(inputs))?;
            let mut maps = walk.add(&maps, &joined);
            for (index, &(channels, blocks)) in after.iter().enumerate() {
                let index = before.len() + index;
                maps = self.halve(walk, index, [inputs, channels], blocks, &maps)?;
                inputs = channels;
            }
            (maps, heatmaps)
        } else {
            let heatmaps = self.heatmaps(walk, &fine)?;
            let mut inputs = self.tail[0].0;
            let mut maps = branch(walk, &context, &last, tail(inputs))?;
            for (index, &(channels, blocks)) in self.tail.iter().enumerate() {
                maps = self.halve(walk, index, [inputs, channels], blocks, &maps)?;
                inputs = channels;
            }
            (maps, heatmaps)
        };
        let heads = [
            self.head("landmarks", POINTS * POINT_VALUES),
            self.head("presence", 1),
        ];
        Ok(vec![walk.stacked(&heads, 1, &maps)?, heatmaps])
    }

    fn heatmaps<W: Walk>(self, walk: &mut W, fine: &W::Map) -> Result<W::Map, W::Error> {
        let layer = pointwise(&Place::default(), "heatmaps", self.pyramid, POINTS, false);
        walk.convolution(&layer, fine)
    }

    /// A step of the tail: half as many pixels along each side, then blocks of that size.
    fn halve<W: Walk>(
        self,
        walk: &mut W,
        index: usize,
        [inputs, channels]: [usize; 2],
        blocks: usize,
        input: &W::Map,
    ) -> Result<W::Map, W::Error> {
        let mut maps = input.clone();
        for block in 0..=blocks {
            let place = Place::same(format!("tail.{index}.{block}"));
            let (inputs, stride) = if block == 0 {
                (inputs, 2)
            } else {
                (channels, 1)
            };
            let config = ConvolutionConfig::depthwise(inputs, 3, stride, Activation::Relu6);
            let hidden = walk.convolution(&place.convolution("depthwise", config), &maps)?;
            let beside = Beside {
                gate: None,
                shortcut: Some(Shortcut {
                    map: &maps,
                    pooled: stride > 1,
                }),
            };
            let layer = pointwise(&place, "pointwise", inputs, channels, true);
            maps = walk.convolution_beside(&layer, &hidden, beside)?;
        }
        Ok(maps)
    }

    /// A convolution over the whole last map, 2x2 pixels.
    pub(crate) fn head(self, name: &str, outputs: usize) -> Convolution {
        let channels = self.tail[self.tail.len() - 1].0;
        let config = ConvolutionConfig::dense(channels, outputs, 2, 1, Activation::Identity);
        Place::default().convolution(name, config.padded(Padding::None))
    }

    /// The published layers of the person's mask, which are left away: those of the trunk's first side branch, and those
    /// over the pyramid.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn mask(self) -> [Vec<Convolution>; 2] {
        const CHANNELS: usize = 8;
        let place = Place::same("mask");
        let pair = |name: &str, inputs: usize, is_clamped: bool| {
            let place = place.within(name, name);
            [
                depthwise(&place, "depthwise", inputs, 3, 1),
                pointwise(&place, "pointwise", inputs, CHANNELS, is_clamped),
            ]
        };
        let side = pair("side", self.trunk.first, true).to_vec();
        let mut over = pair("reduce", self.pyramid, true).to_vec();
        for block in 0..4 {
            over.extend(pair(&block.to_string(), CHANNELS, false));
        }
        let config = ConvolutionConfig::dense(CHANNELS, 1, 3, 1, Activation::Identity);
        over.push(place.convolution("output", config));
        [side, over]
    }

    /// The layer before which the published graph has those of the mask over the pyramid.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn after_mask(self) -> &'static str {
        match self.begins_fine {
            true => "tail.0.1.depthwise",
            false => "heatmaps",
        }
    }
}

/// A depthwise and a pointwise convolution, both clamped.
fn branch<W: Walk>(
    walk: &mut W,
    place: &Place,
    maps: &W::Map,
    [inputs, outputs]: [usize; 2],
) -> Result<W::Map, W::Error> {
    let maps = walk.convolution(&depthwise(place, "depthwise", inputs, 3, 1), maps)?;
    walk.convolution(&pointwise(place, "pointwise", inputs, outputs, true), &maps)
}
