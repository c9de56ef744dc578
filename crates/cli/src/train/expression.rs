//! `affectlens train expression`: labelled pictures, or the videos of Aff-Wild2, to an expression head.

mod end_to_end;

use std::path::PathBuf;

use anyhow::Result;

use super::{
    options::{FaceOptions, ModalityOptions, PictureCounts, ScheduleOptions},
    show_epochs,
};
use crate::{
    folders::picture_folders,
    options::{Modality, expression, units},
    progress::Terminal,
    readers::picture_cache,
};
use affectlens::{
    calibration::ExpressionSettings,
    label::{AFF_WILD2, Expression},
    weights::{Precision, Weights},
};
use affectlens_data::{
    CropReader, Embedder, FrameCounts, Keep, LabelledPictures, Part, SoundCounts, SoundReader,
};
use affectlens_train::{
    ExpressionRecipe, LabelledEmbeddings, Loss, Sampling, TrainingConfig, train_expression,
};
use end_to_end::{EndToEndOptions, file_of};

/// Options of `affectlens train expression`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = picture_folders())]
#[command(mut_args(|arg| {
    let arg = ScheduleOptions::with_defaults(arg, &TrainingConfig::default().schedule);
    EndToEndOptions::with_defaults(arg)
}))]
pub(super) struct Args {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    modality: ModalityOptions,
    #[command(flatten)]
    schedule: ScheduleOptions,
    #[command(flatten)]
    network: NetworkOptions,
    /// Share of the training pictures on which the number of epochs is chosen; 0 chooses it on the validation pictures.
    #[arg(long, value_name = "PART", default_value_t = 0.0)]
    holdout: f64,
    /// Do not tune class biases (GLA) on the validation data.
    #[arg(long)]
    no_gla: bool,
    #[command(flatten)]
    end_to_end: EndToEndOptions,
    #[command(flatten)]
    settings: SettingsOptions,
    #[command(flatten)]
    face: FaceOptions,
}

/// Where labelled faces come from.
#[derive(clap::Args, Debug)]
struct DataOptions {
    /// Folder with DIR/train/LABEL/*.jpg and DIR/validation/LABEL/*.jpg (or val, test and the like); each whole picture is
    /// one face.
    #[arg(long, value_name = "DIR", required_unless_present_any = ["training", "affwild2"])]
    data: Option<PathBuf>,
    /// Root folder of Aff-Wild2, with cropped/VIDEO/00001.jpg and the annotations of the task; use a backbone that has
    /// a classifier of its own.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["data", "training"])]
    affwild2: Option<PathBuf>,
    /// Folder with training pictures DIR/LABEL/*.jpg, instead of --data; can be repeated.
    #[arg(
        long,
        value_name = "DIR",
        requires = "validation",
        conflicts_with = "data"
    )]
    training: Vec<PathBuf>,
    /// Folder with validation pictures DIR/LABEL/*.jpg, instead of --data; can be repeated.
    #[arg(
        long,
        value_name = "DIR",
        requires = "training",
        conflicts_with = "data"
    )]
    validation: Vec<PathBuf>,
    /// Labels to leave out.
    #[arg(
        long,
        value_name = "LABEL,...",
        value_delimiter = ',',
        value_parser = expression,
        conflicts_with = "affwild2"
    )]
    without: Vec<Expression>,
}

/// The network, and what it minimises on which batches.
#[derive(clap::Args, Debug)]
struct NetworkOptions {
    /// Width of the hidden layer.
    #[arg(long, value_name = "UNITS", value_parser = units, default_value_t = TrainingConfig::default().hidden)]
    hidden: usize,
    /// Focal loss with this gamma and class-balanced weights, instead of weighted cross-entropy; 1 where not given with
    /// --modality audio.
    #[arg(long, value_name = "GAMMA")]
    focal: Option<f32>,
    /// Beta of the class-balanced weights.
    #[arg(long, default_value_t = 0.99, requires = "focal")]
    beta: f64,
    /// Balanced batches with N examples of each class, instead of shuffled ones; 4 where not given with --modality audio.
    #[arg(long, value_name = "N", conflicts_with_all = ["batch", "weighted_sampler"])]
    per_class: Option<usize>,
    /// Draw examples with replacement, every class equally often.
    #[arg(long)]
    weighted_sampler: bool,
    /// Mixup: average pairs of examples with weights from a beta distribution with this parameter, 0.01 to 1.
    #[arg(long, value_name = "ALPHA")]
    mixup: Option<f64>,
}

/// Settings that the file carries.
#[derive(clap::Args, Debug)]
struct SettingsOptions {
    /// Probability above which the pretrained classifier decides; stored in the file as its default.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    confidence: f32,
    /// Weight of this head in the average with the pretrained classifier; stored in the file as its default.
    #[arg(long, value_name = "W", default_value_t = 1.0)]
    blend: f32,
    /// Frames before and after each frame that are averaged in a video; stored in the file as its default.
    #[arg(long, value_name = "FRAMES", default_value_t = 50)]
    half_window: usize,
    /// Share of the detected box to add on each side, so that faces look like the training pictures; stored in the
    /// file.
    #[arg(
        long,
        value_name = "PART",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    crop_margin: f32,
    /// Share of the detected box by which the crop is moved up; stored in the file.
    #[arg(
        long,
        value_name = "PART",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    crop_rise: f32,
}

/// Embeddings of both parts.
struct Data<'a> {
    training: LabelledEmbeddings,
    validation: LabelledEmbeddings,
    classes: &'a [Expression],
    skipped: usize,
    frames: Option<[FrameCounts; 2]>,
    heard: Option<[SoundCounts; 2]>,
}

/// Trains an expression head and writes it.
pub(super) fn run(args: &Args) -> Result<()> {
    args.face.expect_writable()?;
    args.end_to_end.expect_writable(&args.face.out)?;
    // The file's own reader decides, before anything is computed.
    args.settings.read()?;
    match (&args.data.affwild2, args.end_to_end.backbone_out()) {
        (None, None) => args.train_on_pictures(),
        (None, Some(backbone)) => args.train_end_to_end(backbone),
        (Some(root), _) => match args.modality.modality {
            Modality::Face => args.train_on_videos(&args.face.reader(root)?),
            Modality::Audio => {
                let (reader, backbone) = args.face.sound_reader(root, &args.modality)?;
                args.train_on_sound(reader, &backbone)
            }
        },
    }
}

impl Args {
    fn train_on_pictures(&self) -> Result<()> {
        let [training, validation] = self.data.pictures()?;
        let classes = training.classes();
        let parts = [("training", &training), ("validation", &validation)];
        let labels = parts.map(|(_, pictures)| pictures.class_indices(&classes));
        let [training_labels, validation_labels] = labels;
        let labels = [training_labels?, validation_labels?];
        let installed = self.face.weights.installed();
        let weights = installed.backbone()?;
        let embedder = Embedder::load(
            installed.backbone_name(),
            &weights,
            self.face.device.open()?,
            picture_cache(),
        )?;
        let mut skipped = 0;
        let mut embed = |(part, pictures): (_, &LabelledPictures), labels: &[usize]| {
            let embedded = embedder.embed_pictures(pictures, labels, part, &Terminal::default())?;
            pictures.expect_read(part, |class| {
                let index = classes.iter().position(|other| *other == class);
                index.is_some_and(|index| embedded.labels.contains(&index))
            })?;
            skipped += embedded.skipped;
            anyhow::Ok(LabelledEmbeddings {
                rows: embedded.rows,
                labels: embedded.labels,
            })
        };
        let training = embed(parts[0], &labels[0])?;
        let validation = embed(parts[1], &labels[1])?;
        let data = Data {
            training,
            validation,
            classes: &classes,
            skipped,
            frames: None,
            heard: None,
        };
        self.train(&weights, &data)
    }

    fn train_on_videos(&self, reader: &CropReader) -> Result<()> {
        let mut skipped = 0;
        let mut read = |part| -> Result<(LabelledEmbeddings, FrameCounts)> {
            let (features, counts) = reader.read::<usize>(part, Keep::Labelled)?;
            skipped += features.failures.len();
            let labels = features.labels();
            let rows = features.embeddings;
            Ok((LabelledEmbeddings { rows, labels }, counts))
        };
        let (training, training_frames) = read(Part::Training)?;
        let (validation, validation_frames) = read(Part::Validation)?;
        let data = Data {
            training,
            validation,
            classes: &AFF_WILD2,
            skipped,
            frames: Some([training_frames, validation_frames]),
            heard: None,
        };
        self.train(reader.weights(), &data)
    }

    /// Trains on all labelled frames that hear something, with a face or without, and scores those with a face.
    fn train_on_sound(&self, mut reader: SoundReader, backbone: &Weights) -> Result<()> {
        let (training, training_frames) = reader.read::<usize>(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) = reader.read::<usize>(Part::Validation, Keep::All)?;
        let labelled = validation.labelled_rows();
        let data = Data {
            training: LabelledEmbeddings {
                labels: training.labels(),
                rows: training.embeddings,
            },
            validation: LabelledEmbeddings {
                rows: validation.embeddings.select(&labelled),
                labels: validation.labels(),
            },
            classes: &AFF_WILD2,
            skipped: 0,
            frames: None,
            heard: Some([training_frames, validation_frames]),
        };
        self.train(backbone, &data)
    }

    fn train(&self, backbone: &Weights, data: &Data) -> Result<()> {
        let settings = self.settings.read()?;
        let trained = train_expression(
            &data.training,
            &data.validation,
            data.classes,
            &self.recipe(),
            self.face.checkpoint("expression", backbone).as_deref(),
            show_epochs(""),
        )?;
        let weights = file_of(&trained, &settings);
        self.face.write(weights, backbone, Precision::Half)?;
        let counts = PictureCounts {
            used: [&data.training, &data.validation].map(|it| it.rows.len()),
            skipped: data.skipped,
            frames: data.frames,
            heard: data.heard,
        };
        self.face.print(counts, &trained.report)
    }

    /// The published recipe with what the options change.
    fn recipe(&self) -> ExpressionRecipe {
        let network = &self.network;
        let beta = network.beta;
        let published = match self.modality.modality {
            Modality::Face => TrainingConfig::default(),
            Modality::Audio => TrainingConfig::focal_sound(),
        };
        ExpressionRecipe {
            training: TrainingConfig {
                hidden: network.hidden,
                loss: match (network.focal, published.loss) {
                    (Some(gamma), _) => Loss::Focal { gamma, beta },
                    (None, loss) => loss,
                },
                sampling: match network.per_class {
                    Some(per_class) => Sampling::Balanced { per_class },
                    None if network.weighted_sampler => Sampling::Weighted,
                    None => published.sampling,
                },
                mixup: network.mixup,
                schedule: self.schedule.apply(published.schedule),
            },
            holdout: self.holdout,
            without_gla: self.no_gla,
        }
    }
}

impl DataOptions {
    /// Training and validation pictures.
    fn pictures(&self) -> Result<[LabelledPictures; 2]> {
        let without = &self.without;
        let read = |part: Part, folders: &[PathBuf]| -> Result<LabelledPictures> {
            Ok(match &self.data {
                Some(data) => LabelledPictures::read(&part.expect_folder(data)?, without)?,
                None => LabelledPictures::read_all(folders, without)?,
            })
        };
        let training = read(Part::Training, &self.training)?;
        let validation = read(Part::Validation, &self.validation)?;
        leave_out([training, validation], without)
    }
}

/// The pictures of training and validation without some labels; two classes or more are left.
fn leave_out(
    mut parts: [LabelledPictures; 2],
    without: &[Expression],
) -> Result<[LabelledPictures; 2]> {
    for pictures in &mut parts {
        let left_out = pictures.remove_labels(without);
        if left_out > 0 {
            complain!("affectlens: {left_out} pictures left out by --without");
        }
    }
    let [training, validation] = &parts;
    training.expect_classes("training")?;
    validation.expect_classes("validation")?;
    validation.expect_classes_of(training)?;
    Ok(parts)
}

impl SettingsOptions {
    /// The settings that the file will carry, checked by reading them as inference will.
    fn read(&self) -> Result<ExpressionSettings> {
        let settings = ExpressionSettings {
            confidence: self.confidence,
            blend: self.blend,
            half_window: self.half_window,
            crop_margin: self.crop_margin,
            crop_rise: self.crop_rise,
            ..ExpressionSettings::neutral(0)
        };
        let mut extra = Default::default();
        settings.write(&mut extra);
        Ok(ExpressionSettings::read(&extra, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::parse;

    #[test]
    fn without_options_the_recipe_is_the_published_one() {
        let args: Args = parse("--data d --out o");
        assert_eq!(args.recipe(), ExpressionRecipe::default());
        let args: Args = parse("--data d --out o --per-class 8 --focal 2 --patience 6");
        let expected = ExpressionRecipe {
            training: TrainingConfig::focal(),
            ..ExpressionRecipe::default()
        };
        assert_eq!(args.recipe(), expected);
        let args: Args = parse("--affwild2 a --out o --modality audio");
        let expected = ExpressionRecipe {
            training: TrainingConfig::focal_sound(),
            ..ExpressionRecipe::default()
        };
        assert_eq!(args.recipe(), expected);
    }
}
