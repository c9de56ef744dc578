//! The state of a run after an epoch, in one file that is replaced as a whole.

use std::path::Path;

use super::{ViolenceError, ViolenceScore};
use crate::EpochReport;
use affectlens::weights::{Metadata, Precision, Weights, WeightsError};

const ARCHITECTURE: &str = "violence-checkpoint";
/// Keys of the metadata, and prefixes of tensors.
const MADE_OF: &str = "made_of";
const EPOCHS: &str = "epochs";
const BEST: &str = "best";
const NETWORK: &str = "network";
const OPTIMIZER: &str = "optimizer";

/// What a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checkpoint {
    pub(super) network: Weights,
    pub(super) optimizer: Weights,
    pub(super) best_network: Weights,
    /// Number of the epoch whose state that is.
    pub(super) best: usize,
    pub(super) epochs: Vec<EpochReport<ViolenceScore>>,
}

impl Checkpoint {
    /// Replaces the file.
    pub(super) fn write(&self, path: &Path, made_of: &str) -> Result<(), WeightsError> {
        let mut file = Weights::new(Metadata {
            architecture: ARCHITECTURE.to_owned(),
            ..Metadata::default()
        });
        let parts = [
            (NETWORK, &self.network),
            (BEST, &self.best_network),
            (OPTIMIZER, &self.optimizer),
        ];
        for (part, weights) in parts {
            for (name, tensor) in weights.iter() {
                let name = format!("{part}:{name}");
                file.insert(name, tensor.shape.clone(), tensor.values.clone())?;
            }
        }
        let extra = &mut file.metadata.extra;
        extra.clone_from(&self.network.metadata.extra);
        extra.insert(MADE_OF.to_owned(), made_of.to_owned());
        extra.insert(BEST.to_owned(), self.best.to_string());
        let architecture = &self.network.metadata.architecture;
        extra.insert(NETWORK.to_owned(), architecture.clone());
        let lines: Vec<String> = self.epochs.iter().map(line).collect();
        extra.insert(EPOCHS.to_owned(), lines.join("\n"));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| WeightsError::Io {
                path: folder.display().to_string(),
                source,
            })?;
        }
        file.write(path, Precision::Lossless)
    }

    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// [`ViolenceError::Checkpoint`] if it is of another recipe or other data, or malformed.
    pub(super) fn read(path: &Path, made_of: &str) -> Result<Option<Self>, ViolenceError> {
        if !path.exists() {
            return Ok(None);
        }
        let refuse = |reason: String| ViolenceError::Checkpoint {
            path: path.display().to_string(),
            reason,
        };
        let file = Weights::read(path)?;
        file.expect_architecture(ARCHITECTURE)?;
        let mut extra = file.metadata.extra.clone();
        let mut take = |key: &str| {
            let missing = || refuse(format!("has no `{key}`, expected one"));
            extra.remove(key).ok_or_else(missing)
        };
        let kept = take(MADE_OF)?;
        if kept != made_of {
            return Err(refuse(format!(
                "is of another run: made of `{kept}`, expected `{made_of}`"
            )));
        }
        let [best, epochs, architecture] = [take(BEST)?, take(EPOCHS)?, take(NETWORK)?];
        let epochs = (1..)
            .zip(epochs.lines())
            .map(|(epoch, line)| parse(epoch, line))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| refuse("has malformed `epochs`".to_owned()))?;
        let best = best
            .parse()
            .ok()
            .filter(|best| (1..=epochs.len()).contains(best))
            .ok_or_else(|| refuse(format!("has best epoch `{best}` of {}", epochs.len())))?;
        let part = |part: &str| -> Result<Weights, WeightsError> {
            let mut weights = Weights::new(Metadata {
                architecture: architecture.clone(),
                extra: extra.clone(),
                ..Metadata::default()
            });
            for (name, tensor) in file.iter() {
                let name = name
                    .strip_prefix(part)
                    .and_then(|name| name.strip_prefix(':'));
                if let Some(name) = name {
                    weights.insert(name, tensor.shape.clone(), tensor.values.clone())?;
                }
            }
            Ok(weights)
        };
        Ok(Some(Self {
            network: part(NETWORK)?,
            optimizer: part(OPTIMIZER)?,
            best_network: part(BEST)?,
            best,
            epochs,
        }))
    }
}

/// Rust writes and reads its numbers without loss.
fn line(epoch: &EpochReport<ViolenceScore>) -> String {
    let mut numbers = vec![epoch.loss, epoch.learning_rate];
    if let Some(it) = epoch.validation {
        numbers.extend([it.macro_f1, it.violent_f1, it.calm_f1]);
    }
    let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:e}")).collect();
    numbers.join(" ")
}

fn parse(epoch: usize, line: &str) -> Option<EpochReport<ViolenceScore>> {
    let numbers: Vec<f64> = line
        .split(' ')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let (loss, learning_rate, validation) = match *numbers.as_slice() {
        [loss, rate] => (loss, rate, None),
        [loss, rate, macro_f1, violent_f1, calm_f1] => {
            let score = ViolenceScore {
                macro_f1,
                violent_f1,
                calm_f1,
            };
            (loss, rate, Some(score))
        }
        _ => return None,
    };
    Some(EpochReport {
        epoch,
        loss,
        learning_rate,
        validation,
    })
}
