//! `affectlens tables`: the method's tables on Aff-Wild2 and DVD, ours beside the published figures.

mod affwild2;
mod violence;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{
    DeviceOption, options::VideosOption, outputs::expect_output_folder,
    second_stream::SecondStreamOptions, terminal, train::stamp,
};
use affectlens::weights::{Precision, Weights};

/// Options of `affectlens tables`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Root folder of Aff-Wild2, with cropped/VIDEO/00001.jpg and the annotations of all three tasks: prints the tables
    /// for faces.
    #[arg(long, value_name = "ROOT", required_unless_present = "dvd")]
    affwild2: Option<PathBuf>,
    /// Root folder of DVD, with Training and Validation: prints the table for violence, with the published recipes on
    /// features of frozen backbones.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["affwild2", "backbone"])]
    dvd: Option<PathBuf>,
    /// Train the backbones for DVD as well, as published, starting from the state dicts DIR/NAME.safetensors, .pth or
    /// .pt (NAME such as convnext-tiny); slow without a GPU.
    #[arg(long, value_name = "DIR", requires = "dvd")]
    end_to_end: Option<PathBuf>,
    #[command(flatten)]
    second_stream: SecondStreamOptions,
    /// Epochs of training on DVD [default: from the recipes].
    #[arg(long, requires = "dvd")]
    epochs: Option<usize>,
    /// Backbone for all rows on Aff-Wild2 [default: emotieffnet-b0 for expressions and action units, mt-ddamfn for
    /// valence and arousal].
    #[arg(long, value_name = "NAME")]
    backbone: Option<String>,
    #[command(flatten)]
    videos: VideosOption,
    /// Table of LibreFace's scores, with the columns image (VIDEO/00001.jpg), Neutral, Happiness, Sadness, Surprise, Fear,
    /// Disgust, Anger and Contempt.
    #[arg(long, value_name = "FILE.csv", requires = "affwild2")]
    libreface: Option<PathBuf>,
    /// Folder for the heads, tables.md and tables.json; heads found there that were trained on the same features are
    /// used again.
    #[arg(long, value_name = "DIR", default_value = "affwild2-tables")]
    out: PathBuf,
    /// Print JSON instead of Markdown.
    #[arg(long)]
    json: bool,
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Folder with weights files [default: the cache that `affectlens weights fetch` fills].
    #[arg(long = "weights", value_name = "DIR")]
    weights: Option<PathBuf>,
}

/// Trains what is missing, prints the tables and keeps them.
pub(super) fn run(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("--out `{}`", args.out.display()))?;
    expect_output_folder("--out", &args.out)?;
    let (markdown, json) = match &args.affwild2 {
        Some(root) => args.affwild2(root)?,
        None => args.violence()?,
    };
    args.keep(&markdown, json)
}

impl Args {
    /// Writes both forms and prints the one that was asked for.
    fn keep(&self, markdown: &str, json: String) -> Result<()> {
        for (name, text) in [("tables.md", markdown), ("tables.json", &json)] {
            let path = self.out.join(name);
            std::fs::write(&path, text).with_context(|| format!("`{}`", path.display()))?;
        }
        terminal::print(
            match self.json {
                true => json + "\n",
                false => markdown.to_owned(),
            }
            .as_bytes(),
        );
        Ok(())
    }

    /// A head from the folder, if it was trained on `trained_on`; else it is trained and written.
    fn head(
        &self,
        name: &str,
        backbone: &Weights,
        trained_on: String,
        train: impl FnOnce() -> Result<Weights>,
    ) -> Result<Weights> {
        let path = self.out.join(format!("{name}.safetensors"));
        if let Ok(kept) = Weights::read(&path)
            && kept.metadata.extra.get(TRAINED_ON) == Some(&trained_on)
        {
            complain!("{name}: trained before");
            return Ok(kept);
        }
        complain!("{name}: training");
        let mut weights = train()?;
        stamp(&mut weights, backbone);
        weights
            .metadata
            .extra
            .insert(TRAINED_ON.to_owned(), trained_on);
        weights.write(&path, Precision::Lossless)?;
        Ok(weights)
    }
}

/// Key of what a head was trained on, in its metadata.
const TRAINED_ON: &str = "trained_on";
