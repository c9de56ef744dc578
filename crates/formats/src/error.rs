//! Why weights cannot be used.

use thiserror::Error;

/// Why weights cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A parameter is not in the file.
    #[error("weight `{name}` is missing{hint}")]
    Missing {
        /// Name that the network asks for.
        name: String,
        /// Names that are there, for the reader of the message.
        hint: String,
    },
    /// A parameter has another shape than the network's.
    #[error("weight `{name}` has shape {got:?}, expected {expected:?}")]
    Shape {
        /// Name of the parameter.
        name: String,
        /// Shape that the network asks for.
        expected: Vec<usize>,
        /// Shape in the file.
        got: Vec<usize>,
    },
    /// A parameter that the network does not know.
    #[error("weight `{name}` does not belong to {architecture}")]
    Unexpected {
        /// Name in the file.
        name: String,
        /// Architecture that was asked for.
        architecture: String,
    },
    /// The file belongs to another network.
    #[error("{}", other_network(.expected, .got))]
    Architecture {
        /// Architecture that was asked for.
        expected: String,
        /// Architecture in the metadata.
        got: String,
    },
    /// A network with these sizes cannot be built.
    #[error("network cannot be built: {0}")]
    Network(affectlens_cpu::CompileError),
    /// The bytes are not a valid file of their format.
    #[error("{format} file is malformed: {reason}")]
    Malformed {
        /// Name of the format.
        format: &'static str,
        /// What is wrong and where.
        reason: String,
    },
    /// The file holds something valid that is not supported.
    #[error("{format} file uses {what}, which is not supported")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// The construct.
        what: String,
    },
    /// The bytes are not the published ones.
    #[error("`{name}` has sha256 {got}, expected {expected}")]
    Digest {
        /// File or package.
        name: String,
        /// Published digest, hexadecimal.
        expected: String,
        /// Digest of the bytes that came.
        got: String,
    },
    /// No default weights go by that name.
    #[error("no default weights `{name}` (there are `{known}`)")]
    Unknown {
        /// Name that was asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// A program that fetches packages is missing, failed or hung.
    #[error("`{command}` {reason}")]
    Command {
        /// The command line.
        command: String,
        /// What happened, with the last lines that it wrote.
        reason: String,
    },
    /// The file system failed.
    #[error("`{path}`: {error}")]
    Io {
        /// File.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("`{path}`: {error}")]
    File {
        /// File.
        path: String,
        /// What is wrong with it.
        error: Box<WeightsError>,
    },
}

fn other_network(expected: &str, got: &str) -> String {
    match got {
        "" => format!("no `architecture` in the metadata, expected `{expected}`"),
        got => format!("weights are for architecture `{got}`, expected `{expected}`"),
    }
}

impl WeightsError {
    /// The error with the file that it is about.
    #[must_use]
    #[cfg(not(target_family = "wasm"))]
    pub fn of_file(self, path: &std::path::Path) -> Self {
        match self {
            // They say it themselves.
            Self::Io { .. } | Self::File { .. } => self,
            error => Self::File {
                path: path.display().to_string(),
                error: Box::new(error),
            },
        }
    }
}
