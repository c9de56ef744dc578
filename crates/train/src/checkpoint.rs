//! The state of a run after an epoch, in one file that is replaced as a whole.

use std::path::{Path, PathBuf};

use affectlens::weights::{Metadata, Precision, Weights, WeightsError};

use crate::{EpochReport, EpochScore, FitError};

const ARCHITECTURE: &str = "training-checkpoint";
/// Keys of the metadata, and prefixes of tensors.
const MADE_OF: &str = "made_of";
const EPOCHS: &str = "epochs";
const BEST: &str = "best";
const NETWORK: &str = "network";
const OPTIMIZER: &str = "optimizer";
const AVERAGE: &str = "average";

/// What a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint<S> {
    pub(crate) network: Weights,
    pub(crate) optimizer: Weights,
    pub(crate) best_network: Weights,
    /// The average over steps, in runs that have one.
    pub(crate) average: Option<Weights>,
    /// Number of the epoch whose state that is.
    pub(crate) best: usize,
    pub(crate) epochs: Vec<EpochReport<S>>,
}

/// The checkpoint of one of several networks that are trained in a run: `run.safetensors` becomes
/// `run-PART.safetensors`.
pub(crate) fn checkpoint_of(path: &Path, part: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{part}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

impl<S: EpochScore> Checkpoint<S> {
    /// Replaces the file.
    pub(crate) fn write(&self, path: &Path, made_of: &str) -> Result<(), WeightsError> {
        let mut file = Weights::new(Metadata {
            architecture: ARCHITECTURE.to_owned(),
            ..Metadata::default()
        });
        let parts = [
            (NETWORK, &self.network),
            (BEST, &self.best_network),
            (OPTIMIZER, &self.optimizer),
        ];
        let average = self.average.iter().map(|average| (AVERAGE, average));
        for (part, weights) in parts.into_iter().chain(average) {
            for (name, tensor) in weights.iter() {
                let name = format!("{part}:{name}");
                file.insert(name, tensor.shape.clone(), tensor.values.clone())?;
            }
        }
        let lines: Vec<String> = self.epochs.iter().map(line).collect();
        file.metadata.extra.extend([
            (MADE_OF.to_owned(), made_of.to_owned()),
            (BEST.to_owned(), self.best.to_string()),
            (EPOCHS.to_owned(), lines.join("\n")),
        ]);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| WeightsError::Io {
                path: folder.display().to_string(),
                error,
            })?;
        }
        file.write(path, Precision::Lossless)
    }

    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// [`FitError::Checkpoint`] if it is of another version, another recipe or other data, or malformed.
    pub(crate) fn read(path: &Path, made_of: &str) -> Result<Option<Self>, FitError> {
        if !path.exists() {
            return Ok(None);
        }
        let refuse = |reason: String| refusal(path, reason);
        let file = Weights::read(path)?;
        let format = &file.metadata.architecture;
        if format != ARCHITECTURE {
            return Err(refuse(format!(
                "has format `{format}`, expected `{ARCHITECTURE}`: delete it to begin anew"
            )));
        }
        let text = |key: &str| {
            let text = file.metadata.extra.get(key);
            text.ok_or_else(|| refuse(format!("has no `{key}`, expected one")))
        };
        let kept = text(MADE_OF)?;
        if kept != made_of {
            return Err(refuse(format!(
                "is of another run: made of `{kept}`, expected `{made_of}`"
            )));
        }
        let epochs = (1..)
            .zip(text(EPOCHS)?.lines())
            .map(|(epoch, line)| parse(epoch, line))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| refuse("has malformed `epochs`".to_owned()))?;
        let best = text(BEST)?;
        let best = best
            .parse()
            .ok()
            .filter(|best| (1..=epochs.len()).contains(best))
            .ok_or_else(|| refuse(format!("has best epoch `{best}` of {}", epochs.len())))?;
        Ok(Some(Self {
            network: part(&file, NETWORK)?,
            optimizer: part(&file, OPTIMIZER)?,
            best_network: part(&file, BEST)?,
            average: Some(part(&file, AVERAGE)?).filter(|average| !average.is_empty()),
            best,
            epochs,
        }))
    }
}

/// Why the file at `path` cannot be resumed from.
pub(crate) fn refusal(path: &Path, reason: String) -> FitError {
    FitError::Checkpoint {
        path: path.display().to_string(),
        reason,
    }
}

fn part(file: &Weights, part: &str) -> Result<Weights, WeightsError> {
    let mut weights = Weights::default();
    for (name, tensor) in file.iter() {
        let name = name
            .strip_prefix(part)
            .and_then(|name| name.strip_prefix(':'));
        if let Some(name) = name {
            weights.insert(name, tensor.shape.clone(), tensor.values.clone())?;
        }
    }
    Ok(weights)
}

/// Rust writes and reads its numbers without loss.
fn line<S: EpochScore>(epoch: &EpochReport<S>) -> String {
    let mut numbers = vec![epoch.loss, epoch.learning_rate];
    numbers.extend(epoch.validation.iter().flat_map(EpochScore::numbers));
    let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:e}")).collect();
    numbers.join(" ")
}

fn parse<S: EpochScore>(epoch: usize, line: &str) -> Option<EpochReport<S>> {
    let numbers: Vec<f64> = line
        .split(' ')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    let [loss, learning_rate, score @ ..] = numbers.as_slice() else {
        return None;
    };
    let validation = match score {
        [] => None,
        score => Some(S::from_numbers(score)?),
    };
    Some(EpochReport {
        epoch,
        loss: *loss,
        learning_rate: *learning_rate,
        validation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClassifierScore;

    #[test]
    fn numbers_of_epochs_survive_the_file() {
        let epoch = |validation| EpochReport {
            epoch: 1,
            loss: 0.1 + 0.2,
            learning_rate: 1e-300,
            validation,
        };
        let score = ClassifierScore {
            macro_f1: 1.0 / 3.0,
            accuracy: f64::MIN_POSITIVE,
        };
        for report in [epoch(None), epoch(Some(score))] {
            assert_eq!(parse(1, &line(&report)), Some(report));
        }
        assert_eq!(parse::<ClassifierScore>(1, "1 2 3"), None);
        assert_eq!(parse::<ClassifierScore>(1, "1 x"), None);
    }

    #[test]
    fn a_file_of_another_format_is_refused_with_its_remedy() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("run.safetensors");
        let old = Weights::new(Metadata {
            architecture: "violence-checkpoint".to_owned(),
            ..Metadata::default()
        });
        old.write(&path, Precision::Lossless).expect("writable");
        let error = Checkpoint::<ClassifierScore>::read(&path, "").expect_err("another format");
        let message = error.to_string();
        assert!(
            message.contains("has format `violence-checkpoint`"),
            "{message}"
        );
        assert!(message.contains("delete it to begin anew"), "{message}");
        assert_eq!(
            checkpoint_of(&path, "logits"),
            folder.path().join("run-logits.safetensors")
        );
    }
}
