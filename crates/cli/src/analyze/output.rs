//! Reports as lines of JSON or of a table.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;

use super::table::Columns;
use affectlens::report::FrameReport;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One JSON object per frame and line.
    #[default]
    Jsonl,
    /// One line per face or person, and one for a frame without any.
    Csv,
}

/// The format that a file's name asks for.
pub(super) fn format_of(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()? {
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "csv" => Some(Format::Csv),
        _ => None,
    }
}

/// Reports as they come: every line is whole and flushed, so that an interrupted run leaves valid output. A file
/// that exists is overwritten only once there is something to say.
pub(super) struct Output {
    path: Option<PathBuf>,
    sink: Option<Box<dyn Write>>,
    format: Format,
    columns: Columns,
}

#[derive(Serialize)]
struct NamedReport<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(flatten)]
    report: &'a FrameReport,
}

impl Output {
    pub(super) fn new(path: Option<PathBuf>, format: Format, columns: Columns) -> Self {
        Self {
            path,
            sink: None,
            format,
            columns,
        }
    }

    /// Creates the file, and writes the header of a table.
    pub(super) fn open(&mut self) -> Result<()> {
        if self.sink.is_some() {
            return Ok(());
        }
        self.sink = Some(match &self.path {
            Some(path) => {
                Box::new(File::create(path).with_context(|| format!("--out `{}`", path.display()))?)
            }
            None => Box::new(io::stdout().lock()),
        });
        if self.format == Format::Csv {
            let header = csv_line(self.columns.names())?;
            self.emit(&header)?;
        }
        Ok(())
    }

    /// Writes the report of a frame, under the name of its file where there are several.
    pub(super) fn write(&mut self, file: Option<&str>, report: &FrameReport) -> Result<()> {
        let lines = match self.format {
            Format::Jsonl => {
                let mut line = serde_json::to_vec(&NamedReport { file, report })?;
                line.push(b'\n');
                line
            }
            Format::Csv => {
                let rows = self.columns.rows(file.unwrap_or_default(), report);
                let lines = rows.iter().map(csv_line).collect::<Result<Vec<_>>>()?;
                lines.concat()
            }
        };
        self.emit(&lines)
    }

    fn emit(&mut self, bytes: &[u8]) -> Result<()> {
        self.open()?;
        let Some(sink) = &mut self.sink else {
            return Ok(());
        };
        sink.write_all(bytes)
            .and_then(|()| sink.flush())
            .context("writing reports")
    }
}

fn csv_line<I: IntoIterator<Item = T>, T: AsRef<[u8]>>(fields: I) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().context("writing CSV")
}

/// Whether whoever read our output has ended.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(closed)
}
