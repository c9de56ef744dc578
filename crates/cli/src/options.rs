//! Options that several commands share.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{ValueEnum, builder::PossibleValue};

use super::installed::InstalledWeights;
use affectlens::{
    calibration::ViolenceSettings,
    device::{self, DeviceChoice, OpenedDevice},
    kernel,
    label::Expression,
    weights::MAX_UNITS,
};
use affectlens_data::{LabelledPictures, Part};

/// `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceOption(DeviceChoice);

impl ValueEnum for DeviceOption {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self(DeviceChoice::Auto),
            Self(DeviceChoice::Cpu),
            Self(DeviceChoice::Gpu),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            DeviceChoice::Auto => "Vulkan on a hardware GPU, else the CPU",
            DeviceChoice::Cpu => "The CPU",
            DeviceChoice::Gpu => "Vulkan, also where it is emulated in software",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl DeviceOption {
    pub(crate) fn open(self) -> Result<OpenedDevice> {
        self.open_with(None, None)
    }

    /// The kernels' form can be forced: tiles in workgroup memory, 16-bit floats.
    pub(crate) fn open_with(self, tiles: Option<bool>, half: Option<bool>) -> Result<OpenedDevice> {
        let opened = pollster::block_on(async {
            let opened = device::open(self.0).await?;
            kernel::tuned(opened, tiles, half).await
        })
        .context("--device")?;
        if let Some(reason) = &opened.fallback {
            complain!("affectlens: on the CPU: {reason}");
        }
        Ok(opened)
    }
}

/// Where weights are read from.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct WeightsOptions {
    /// Folder with weights files [default: the cache that `affectlens weights fetch` fills].
    #[arg(long = "weights", value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Backbone for faces: the network that turns a face into an embedding [default: that of the expression head in the
    /// folder, else expression-mobilenet].
    #[arg(long, value_name = "NAME")]
    pub(crate) backbone: Option<String>,
}

impl WeightsOptions {
    /// The files that the options name.
    pub(crate) fn installed(&self) -> InstalledWeights {
        InstalledWeights::new(self.folder.clone(), self.backbone.clone())
    }
}

/// What a head reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Modality {
    /// Faces.
    #[default]
    Face,
    /// Sound of the videos, embedded by wav2vec2-base.
    Audio,
}

/// Where the sound of Aff-Wild2 is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct VideosOption {
    /// Folder with the videos of Aff-Wild2, for their sound [default: videos, batch1, batch2 and new_vids in ROOT].
    #[arg(long = "videos", value_name = "DIR", requires = "affwild2")]
    pub(crate) videos: Option<PathBuf>,
}

/// What messages call the pictures of [`read_pictures`].
pub(crate) const SCORED: &str = "scored";

/// The pictures of a folder, or of its validation part, two classes or more.
pub(crate) fn read_pictures(data: &Path, without: &[Expression]) -> Result<LabelledPictures> {
    let validation = Part::Validation.folder(data)?;
    let data = validation.as_deref().unwrap_or(data);
    let mut pictures = LabelledPictures::read(data, without)?;
    pictures.remove_labels(without);
    pictures.expect_classes(SCORED)?;
    Ok(pictures)
}

/// Reads a number from 0 to 1.
pub(crate) fn probability(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// Reads a number of frames: of a window, or from one of its frames to the next.
pub(crate) fn frames(text: &str) -> Result<usize, String> {
    let most = ViolenceSettings::LONGEST;
    text.parse()
        .ok()
        .filter(|frames| (1..=most).contains(frames))
        .ok_or_else(|| format!("expected a whole number from 1 to {most}"))
}

/// Reads a number of hidden units.
pub(crate) fn units(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|units| (1..=MAX_UNITS).contains(units))
        .ok_or_else(|| format!("expected a whole number from 1 to {MAX_UNITS}"))
}

/// Reads an expression's name.
pub(crate) fn expression(name: &str) -> Result<Expression, String> {
    let known = || Expression::ALL.map(Expression::name).join(", ");
    Expression::from_name(name).ok_or_else(|| format!("expected one of {}", known()))
}
