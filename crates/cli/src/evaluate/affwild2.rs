//! Scores on the validation part of Aff-Wild2, and submissions for its test part: per frame, or over windows of a video.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{FaceOptions, Model, print};
use crate::{
    options::VideosOption,
    progress::Terminal,
    readers::{open_crops, open_sound},
};
use affectlens::{
    device::OpenedDevice,
    label::{AFF_WILD2, AFF_WILD2_ACTION_UNITS, Expression},
    metrics::{ActionUnitScores, Confusion, Covariance, Scores, ValenceArousalScores},
};
use affectlens_data::{
    ActionUnitPredictor, AffWild2, AffWild2Error, CropReader, ExpressionPredictor, FrameLabel,
    FramePredictor, Keep, Part, SampleList, SoundActionUnitPredictor, SoundExpressionPredictor,
    SoundReader, SoundValenceArousalPredictor, ValenceArousalPredictor, VideoFeatures,
    predict_frames, predict_submission,
};

/// The data set, read with the backbone that the options name, and the device.
pub(super) fn open(options: &FaceOptions, root: &Path) -> Result<(CropReader, OpenedDevice)> {
    let tree = AffWild2::open(root)?;
    let device = options.device.open()?;
    let reader = open_crops(tree, &options.weights, device.clone())?;
    Ok((reader, device))
}

/// The sound of the data set's videos.
pub(super) fn open_videos(
    options: &FaceOptions,
    videos: &VideosOption,
    root: &Path,
) -> Result<SoundReader> {
    let tree = AffWild2::open(root)?;
    let videos = tree.videos(videos.videos.as_deref())?;
    let device = options.device.open()?;
    let (reader, _) = open_sound(tree, videos, options.weights.folder.clone(), device)?;
    Ok(reader)
}

/// What gives the features of frames: of their faces, or of their sound.
pub(super) trait FrameReader {
    fn validation<L: FrameLabel + Copy>(&mut self) -> Result<VideoFeatures<L>, AffWild2Error>;

    fn list<L: Copy>(&mut self, list: &SampleList) -> Result<VideoFeatures<L>, AffWild2Error>;
}

impl FrameReader for CropReader {
    fn validation<L: FrameLabel + Copy>(&mut self) -> Result<VideoFeatures<L>, AffWild2Error> {
        Ok(self.read(Part::Validation, Keep::All)?.0)
    }

    fn list<L: Copy>(&mut self, list: &SampleList) -> Result<VideoFeatures<L>, AffWild2Error> {
        self.read_list(list)
    }
}

impl FrameReader for SoundReader {
    fn validation<L: FrameLabel + Copy>(&mut self) -> Result<VideoFeatures<L>, AffWild2Error> {
        Ok(self.read(Part::Validation, Keep::All)?.0)
    }

    fn list<L: Copy>(&mut self, list: &SampleList) -> Result<VideoFeatures<L>, AffWild2Error> {
        self.read_list(list)
    }
}

/// The frames to each side that a model averages over.
pub(super) fn window(model: Model, predictor: &impl FramePredictor) -> usize {
    match model {
        Model::Full => predictor.half_window(),
        Model::Pretrained | Model::Head => 0,
    }
}

/// Scores a predictor, or writes its submission.
pub(super) fn evaluate<P: Printed>(
    options: &FaceOptions,
    model: Model,
    reader: &mut impl FrameReader,
    predictor: &P,
) -> Result<()> {
    let window = window(model, predictor);
    if let Some(sample) = &options.submission {
        let list = SampleList::read(sample)?;
        let features = reader.list::<P::Label>(&list)?;
        let text = predict_submission(predictor, &list, &features, window, &Terminal::default())?;
        return write(options, text);
    }
    let features = reader.validation::<P::Label>()?;
    let predictions = predict_frames(predictor, &features, window)?;
    P::print(&predictions, &features.labels(), options.json)
}

/// Writes a submission.
pub(super) fn write(options: &FaceOptions, text: String) -> Result<()> {
    let out = options.out.as_ref();
    let out = out.context("--submission needs --out FILE")?;
    std::fs::write(out, text).with_context(|| format!("--out `{}`", out.display()))
}

/// A predictor whose scores can be printed, as JSON or as lines of text.
pub(super) trait Printed: FramePredictor {
    fn print(predictions: &[Self::Label], labels: &[Self::Label], json: bool) -> Result<()>;
}

impl Printed for ExpressionPredictor {
    fn print(predictions: &[usize], labels: &[usize], json: bool) -> Result<()> {
        let confusion = Confusion::from_pairs(AFF_WILD2.len(), labels, predictions);
        let scores = Scores::new(&confusion, &AFF_WILD2);
        if json {
            return print_json(&scores);
        }
        print(&scores, Expression::name, "frames");
        Ok(())
    }
}

impl Printed for SoundExpressionPredictor {
    fn print(predictions: &[usize], labels: &[usize], json: bool) -> Result<()> {
        ExpressionPredictor::print(predictions, labels, json)
    }
}

impl Printed for SoundValenceArousalPredictor {
    fn print(predictions: &[[f32; 2]], labels: &[[f32; 2]], json: bool) -> Result<()> {
        ValenceArousalPredictor::print(predictions, labels, json)
    }
}

impl Printed for SoundActionUnitPredictor {
    fn print(predictions: &[[bool; 12]], labels: &[[bool; 12]], json: bool) -> Result<()> {
        ActionUnitPredictor::print(predictions, labels, json)
    }
}

impl Printed for ValenceArousalPredictor {
    fn print(predictions: &[[f32; 2]], labels: &[[f32; 2]], json: bool) -> Result<()> {
        let scores = ValenceArousalScores::new(predictions, labels, Covariance::Sample);
        if json {
            return print_json(&scores);
        }
        say!("{scores}, {} frames", scores.count);
        Ok(())
    }
}

impl Printed for ActionUnitPredictor {
    fn print(predictions: &[[bool; 12]], labels: &[[bool; 12]], json: bool) -> Result<()> {
        let rows: Vec<[f32; 12]> = predictions
            .iter()
            .map(|row| row.map(|present| if present { 1.0 } else { 0.0 }))
            .collect();
        let scores = ActionUnitScores::new(&rows, labels, &[0.5; 12], &AFF_WILD2_ACTION_UNITS);
        if json {
            return print_json(&scores);
        }
        say!("mean F1 {:.4}, {} frames", scores.mean_f1, scores.count);
        for (unit, f1) in &scores.per_unit {
            say!("{:>5} {f1:.4}", unit.name());
        }
        Ok(())
    }
}

fn print_json(scores: &impl Serialize) -> Result<()> {
    crate::terminal::json(scores)
}
