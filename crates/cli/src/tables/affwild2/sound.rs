//! The heads over what is no face: sound, and LibreFace's scores.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use serde::Serialize;

use super::{super::Args, Report};
use crate::{
    installed::{InstalledWeights, SOUND_BACKBONE},
    readers::open_sound,
    train::show_epochs,
};
use affectlens::{
    device::OpenedDevice,
    head::{Mlp, ValenceArousal},
    label::AFF_WILD2,
    weights::{Metadata, Weights, file_sha256},
};
use affectlens_data::{
    AffWild2, AffWild2Error, FeatureRows, FrameLabel, Keep, LibreFace, Part, SoundCounts,
    SoundReader, VideoFeatures,
};
use affectlens_train::{
    Available, Examples, ExpressionRecipe, HeadWithRows, LabelledEmbeddings, SoundActionUnitRecipe,
    TrainingConfig, ValenceArousalRecipe, train_expression, train_sound_action_units,
    train_valence_arousal,
};

/// The network for sound, and the videos.
pub(super) struct Sound {
    reader: SoundReader,
    backbone: Weights,
    frames: BTreeMap<&'static str, [SoundCounts; 2]>,
}

/// Where the vectors of sound are, and whose they are.
#[derive(Serialize)]
pub(super) struct SoundReport {
    backbone: String,
    features: PathBuf,
    /// Training and validation frames by task.
    frames: BTreeMap<&'static str, [SoundCounts; 2]>,
}

/// A head, and the rows of the validation frames that it reads.
pub(super) struct Trained<L, H> {
    head: H,
    validation: VideoFeatures<L>,
    /// Training frames of each class, of expressions alone.
    pub(super) counts: Vec<usize>,
}

impl<L, H> Trained<L, H> {
    pub(super) fn with_rows(&self) -> HeadWithRows<'_, L, H> {
        HeadWithRows {
            validation: &self.validation,
            head: &self.head,
        }
    }
}

/// What a head over sound is trained and scored on.
struct Parts<L> {
    training: Labelled<L>,
    validation: VideoFeatures<L>,
    /// A text that no other data has.
    made_of: String,
}

/// Rows of frames with their labels.
struct Labelled<L> {
    rows: FeatureRows,
    labels: Vec<L>,
}

impl<L: Copy> Labelled<L> {
    /// The frames of a part that have a label.
    fn of(features: &VideoFeatures<L>) -> Self {
        Self {
            rows: features.embeddings.select(&features.labelled_rows()),
            labels: features.labels(),
        }
    }

    fn examples(&self) -> Examples<'_, L> {
        Examples {
            rows: &self.rows,
            labels: &self.labels,
        }
    }
}

impl Sound {
    pub(super) fn report(&self) -> SoundReport {
        SoundReport {
            backbone: self.backbone.metadata.architecture.clone(),
            features: self.reader.embedder().folder().to_owned(),
            frames: self.frames.clone(),
        }
    }

    /// Both parts of a task; `None` where no frame of one of them hears anything.
    fn read<L: FrameLabel + Copy>(&mut self, task: &'static str) -> Result<Option<Parts<L>>> {
        let (training, training_frames) = self.reader.read(Part::Training, Keep::Labelled)?;
        let (validation, validation_frames) = self.reader.read(Part::Validation, Keep::All)?;
        let frames = [training_frames, validation_frames];
        self.frames.insert(task, frames);
        if frames.iter().any(|counts| counts.usable == 0) {
            return Ok(None);
        }
        let made_of = format!("{} {frames:?}", self.reader.embedder().key());
        let training = Labelled {
            labels: training.labels(),
            rows: training.embeddings,
        };
        Ok(Some(Parts {
            training,
            validation,
            made_of,
        }))
    }
}

/// Why a row with sound cannot be computed although videos and network are there.
fn nothing_is_heard<T>() -> Available<T> {
    Err("videos with sound".to_owned())
}

impl Args {
    /// The network for sound and the videos, or which of them is missing.
    pub(super) fn sound(&self, tree: &AffWild2, device: &OpenedDevice) -> Result<Available<Sound>> {
        let backbone = Some(SOUND_BACKBONE.to_owned());
        let network = InstalledWeights::new(self.weights.clone(), backbone).path(SOUND_BACKBONE);
        if !network.exists() {
            return Ok(Err(format!("`{}`", network.display())));
        }
        let videos = match tree.videos(self.videos.videos.as_deref()) {
            Ok(videos) => videos,
            Err(AffWild2Error::Videos { folders }) => {
                return Ok(Err(format!("VIDEO.mp4 in {folders}")));
            }
            Err(error) => return Err(error.into()),
        };
        let folder = self.weights.clone();
        let (reader, backbone) = open_sound(tree.clone(), videos, folder, device.clone())?;
        Ok(Ok(Sound {
            reader,
            backbone,
            frames: BTreeMap::new(),
        }))
    }

    pub(super) fn expression_of_sound(
        &self,
        sound: &mut Available<Sound>,
    ) -> Result<Available<Trained<usize, Mlp>>> {
        let sound = match sound {
            Ok(sound) => sound,
            Err(needs) => return Ok(Err(needs.clone())),
        };
        let Some(Parts {
            training,
            validation,
            made_of,
        }) = sound.read::<usize>("expression")?
        else {
            return Ok(nothing_is_heard());
        };
        let mut counts = vec![0; AFF_WILD2.len()];
        for label in &training.labels {
            counts[*label] += 1;
        }
        let made_of = format!("{made_of} {counts:?}");
        let weights = self.head("expression-audio", &sound.backbone, made_of, || {
            let training = LabelledEmbeddings {
                rows: training.rows,
                labels: training.labels,
            };
            let scored = LabelledEmbeddings {
                rows: validation.embeddings.select(&validation.labelled_rows()),
                labels: validation.labels(),
            };
            let recipe = ExpressionRecipe {
                training: TrainingConfig::focal_sound(),
                ..ExpressionRecipe::default()
            };
            let show = show_epochs("");
            let trained = train_expression(&training, &scored, &AFF_WILD2, &recipe, None, show)?;
            Ok(trained.weights)
        })?;
        Ok(Ok(Trained {
            head: Mlp::load(&weights, &Device::flex())?,
            validation,
            counts,
        }))
    }

    pub(super) fn valence_arousal_of_sound(
        &self,
        sound: &mut Available<Sound>,
    ) -> Result<Available<Trained<[f32; 2], ValenceArousal>>> {
        let sound = match sound {
            Ok(sound) => sound,
            Err(needs) => return Ok(Err(needs.clone())),
        };
        let Some(Parts {
            training,
            validation,
            made_of,
        }) = sound.read("valence-arousal")?
        else {
            return Ok(nothing_is_heard());
        };
        let name = "valence-arousal-audio";
        let trained =
            self.valence_arousal_over(name, &sound.backbone, made_of, &training, validation)?;
        Ok(Ok(trained))
    }

    /// The head over LibreFace's scores of the crops, if there is a table of them.
    pub(super) fn valence_arousal_of_libreface(
        &self,
        tree: &AffWild2,
        report: &mut Report,
    ) -> Result<Available<Trained<[f32; 2], ValenceArousal>>> {
        let Some(path) = &self.libreface else {
            return Ok(Err("scores of LibreFace, --libreface FILE.csv".to_owned()));
        };
        let read = || -> Result<_> {
            let table = LibreFace::read(path)?;
            let training = tree.read::<[f32; 2]>(Part::Training)?.videos;
            let validation = tree.read::<[f32; 2]>(Part::Validation)?.videos;
            let counts = table.count(training.iter().chain(&validation));
            let training = table.select(&training, Keep::Labelled)?;
            Ok((counts, training, table.select(&validation, Keep::All)?))
        };
        let (counts, training, validation) = read().context("--libreface")?;
        complain!(
            "affectlens: LibreFace: {} rows; {} crops have none, {} rows are of no crop",
            counts.rows,
            counts.missing,
            counts.extra
        );
        report.libreface = Some(counts);
        let training = Labelled {
            labels: training.labels(),
            rows: training.embeddings,
        };
        if training.labels.is_empty() || validation.labels().is_empty() {
            let path = path.display();
            return Ok(Err(format!("rows in `{path}` for the labelled crops")));
        }
        let backbone = Weights::new(Metadata {
            architecture: "libreface".to_owned(),
            source_sha256: file_sha256(path)?,
            ..Metadata::default()
        });
        let made_of = format!("{} {counts:?}", backbone.metadata.source_sha256);
        let name = "valence-arousal-libreface";
        let trained = self.valence_arousal_over(name, &backbone, made_of, &training, validation)?;
        Ok(Ok(trained))
    }

    fn valence_arousal_over(
        &self,
        name: &str,
        backbone: &Weights,
        made_of: String,
        training: &Labelled<[f32; 2]>,
        validation: VideoFeatures<[f32; 2]>,
    ) -> Result<Trained<[f32; 2], ValenceArousal>> {
        let weights = self.head(name, backbone, made_of, || {
            let trained = train_valence_arousal(
                training.examples(),
                Labelled::of(&validation).examples(),
                &ValenceArousalRecipe::with_hidden_layer(),
                None,
                show_epochs(""),
            )?;
            Ok(trained.weights)
        })?;
        Ok(Trained {
            head: ValenceArousal::load(&weights, &Device::flex())?,
            validation,
            counts: Vec::new(),
        })
    }

    pub(super) fn action_units_of_sound(
        &self,
        sound: &mut Available<Sound>,
    ) -> Result<Available<Trained<[bool; 12], Mlp>>> {
        let sound = match sound {
            Ok(sound) => sound,
            Err(needs) => return Ok(Err(needs.clone())),
        };
        let Some(Parts {
            training,
            validation,
            made_of,
        }) = sound.read::<[bool; 12]>("action-units")?
        else {
            return Ok(nothing_is_heard());
        };
        let weights = self.head("action-units-audio", &sound.backbone, made_of, || {
            let trained = train_sound_action_units(
                training.examples(),
                Labelled::of(&validation).examples(),
                &SoundActionUnitRecipe::default(),
                None,
                show_epochs(""),
            )?;
            Ok(trained.weights)
        })?;
        Ok(Ok(Trained {
            head: Mlp::load(&weights, &Device::flex())?,
            validation,
            counts: Vec::new(),
        }))
    }
}
