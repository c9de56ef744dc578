//! The command line.

#![expect(clippy::print_stdout, reason = "results go to standard output")]

mod affwild2;
mod analyze;
mod bench;
mod convert;
mod embed;
mod embedder;
mod evaluate;
mod progress;
mod sources;
mod tables;
mod train;
mod videos;
mod weights;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand, ValueEnum, builder::PossibleValue};

use affectlens::{
    device::{self, DeviceChoice, OpenedDevice},
    faces::{ClassifierWeights, FaceWeights},
    kernel,
    lens::LensWeights,
    role::Role,
    task::{Task, Tasks},
    violence::ViolenceWeights,
    weights::Weights,
};

/// Facial expression, valence, arousal and action units from pictures and videos.
#[derive(Parser)]
#[command(name = "affectlens", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds faces and reports their expressions, valence and arousal, and action units.
    Analyze(analyze::Args),
    /// Embeds whole pictures as faces.
    Embed(embed::Args),
    /// Brings a published weights file into the canonical form.
    Convert(convert::Args),
    /// Trains a head.
    Train(Box<train::Args>),
    /// Scores a model on labelled data.
    Evaluate(evaluate::Args),
    /// Trains on Aff-Wild2 and prints the method's face tables beside the published figures.
    Tables(tables::Args),
    /// Lists, fetches and verifies weights.
    Weights(weights::Args),
    /// Times the networks on this machine.
    Bench(bench::Args),
}

/// Runs the command that the process was started with: 0 done, 1 the input is at fault, 2 wrong usage.
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Analyze(args) => analyze::run(&args),
        Command::Embed(args) => embed::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Tables(args) => tables::run(&args),
        Command::Weights(args) => weights::run(args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("affectlens: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Reads a number from 0 to 1.
fn probability(text: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct DeviceOption(DeviceChoice);

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
    fn open(self) -> Result<OpenedDevice> {
        self.open_with(None, None)
    }

    /// The kernels' form can be forced: tiles in workgroup memory, 16-bit floats.
    fn open_with(self, tiles: Option<bool>, half: Option<bool>) -> Result<OpenedDevice> {
        let opened = pollster::block_on(async {
            let opened = device::open(self.0).await?;
            kernel::tuned(opened, tiles, half).await
        })
        .context("--device")?;
        if let Some(reason) = &opened.fallback {
            eprintln!("affectlens: on the CPU: {reason}");
        }
        Ok(opened)
    }
}

/// Where weights are read from.
#[derive(clap::Args, Clone, Debug)]
struct WeightsOptions {
    /// Folder with weights files; the default is the cache that `affectlens weights fetch` fills.
    #[arg(long = "weights", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Backbone that embeds faces.
    #[arg(long, value_name = "NAME", default_value = "faceres")]
    backbone: String,
}

const PRETRAINED: &[u8] = include_bytes!("../../../models/expression-pretrained.safetensors");
const HEAD: &[u8] = include_bytes!("../../../models/expression-head.safetensors");
const VIOLENCE_HEAD: &[u8] = include_bytes!("../../../models/violence-head.safetensors");

impl WeightsOptions {
    fn folder(&self) -> PathBuf {
        self.folder
            .clone()
            .unwrap_or_else(|| affectlens::weights::cache_dir().join("weights"))
    }

    fn read(&self, name: &str) -> Result<Weights> {
        let path = self.folder().join(format!("{name}.safetensors"));
        let read = Weights::read(&path);
        if path.exists() {
            Ok(read?)
        } else {
            read.with_context(|| {
                let remedy = match affectlens::weights::CatalogEntry::find(name) {
                    Ok(_) => format!("run `affectlens weights fetch {name}`"),
                    Err(_) => format!(
                        "make them with `affectlens convert FILE {} --backbone {name}`",
                        path.display()
                    ),
                };
                format!("weights `{name}` are not installed; {remedy}")
            })
        }
    }

    /// A classifier from the folder, else the built-in one; none that was trained for another backbone.
    fn classifier(&self, role: Role, built_in: &[u8]) -> Result<Option<Weights>> {
        let name = role.file();
        let path = self.folder().join(format!("{name}.safetensors"));
        if path.exists() {
            return Ok(Some(Weights::read(&path)?));
        }
        let weights =
            Weights::from_safetensors(built_in).with_context(|| format!("built-in `{name}`"))?;
        let trained_on = weights.metadata.embedding();
        Ok((trained_on == Some(self.backbone.as_str())).then_some(weights))
    }

    /// A file that only a user can bring: none is built in.
    fn own(&self, name: &str) -> Result<Option<Weights>> {
        let path = self.folder().join(format!("{name}.safetensors"));
        Ok(path.exists().then(|| Weights::read(&path)).transpose()?)
    }

    /// What scores faces that are found already.
    fn load_classifier(&self, tasks: Tasks) -> Result<ClassifierWeights> {
        let own = |role: Role| match role.serves(tasks) {
            true => self.own(role.file()),
            false => Ok(None),
        };
        Ok(ClassifierWeights {
            backbone: self.read(&self.backbone)?,
            pretrained: self.classifier(Role::Pretrained, PRETRAINED)?,
            head: self.classifier(Role::Head, HEAD)?,
            valence_arousal_head: own(Role::ValenceArousalHead)?,
            action_units_head: own(Role::ActionUnitsHead)?,
        })
    }

    /// The files that the tasks need.
    fn load(&self, tasks: Tasks) -> Result<LensWeights> {
        Ok(LensWeights {
            faces: tasks
                .need_faces()
                .then(|| self.load_faces(tasks))
                .transpose()?,
            violence: tasks
                .contains(Task::Violence)
                .then(|| self.load_violence())
                .transpose()?,
        })
    }

    /// The head of the folder, else the built-in one, and the backbone that it was trained on.
    fn load_violence(&self) -> Result<ViolenceWeights> {
        let head = self.violence_head()?;
        let Some(backbone) = head.metadata.embedding() else {
            bail!(
                "`violence-head` does not say which backbone's embeddings it takes, expected `embedding` in its metadata"
            );
        };
        Ok(ViolenceWeights {
            backbone: self.read(backbone)?,
            head,
        })
    }

    fn violence_head(&self) -> Result<Weights> {
        match self.own(Role::ViolenceHead.file())? {
            Some(head) => Ok(head),
            None => Weights::from_safetensors(VIOLENCE_HEAD).context("built-in `violence-head`"),
        }
    }

    fn load_faces(&self, tasks: Tasks) -> Result<FaceWeights> {
        let detector = self.read(Role::Detector.file())?;
        let classifier = self.load_classifier(tasks)?;
        // The mesh is what action units come from, unless a head was trained on them.
        let landmarks = |role: Role| match role.serves(tasks) {
            true if classifier.action_units_head.is_none() => self.read(role.file()).map(Some),
            true => self.own(role.file()),
            false => Ok(None),
        };
        Ok(FaceWeights {
            detector,
            mesh: landmarks(Role::Mesh)?,
            blendshapes: landmarks(Role::Blendshapes)?,
            classifier,
        })
    }
}
