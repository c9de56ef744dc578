//! Reports as lines of JSON or of a table.

use std::{
    fs::File,
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;

use super::table::Columns;
use crate::terminal::OutputError;
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
    sink: Option<Sink>,
    format: Format,
    columns: Columns,
    /// Reports of the input so far.
    count: u64,
}

/// Where reports go.
enum Sink {
    /// A file, and how much of it are whole lines.
    File {
        file: File,
        whole: u64,
    },
    Stdout,
}

/// What can be cut behind the last whole line.
trait Cut: Write {
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Cut for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

#[derive(Serialize)]
struct NamedReport<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(flatten)]
    report: &'a FrameReport,
}

/// The end of an input, for programs that wait for it.
#[derive(Serialize)]
struct InputEnd<'a> {
    file: &'a str,
    ended: bool,
    frames: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Output {
    pub(super) fn new(path: Option<PathBuf>, format: Format, columns: Columns) -> Self {
        Self {
            path,
            sink: None,
            format,
            columns,
            count: 0,
        }
    }

    /// Creates the file, and writes the header of a table.
    pub(super) fn open(&mut self) -> Result<()> {
        if self.sink.is_some() {
            return Ok(());
        }
        self.sink = Some(match &self.path {
            Some(path) => {
                let file = File::create(path).map_err(|error| self.fault(error))?;
                Sink::File { file, whole: 0 }
            }
            None => Sink::Stdout,
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
        self.count += 1;
        self.emit(&lines)
    }

    /// Ends an input: counts from 0 again, and with `told` writes a line of JSON with how many reports it has and what was
    /// wrong with it.
    pub(super) fn end(&mut self, told: bool, file: &str, error: Option<String>) -> Result<()> {
        let frames = mem::take(&mut self.count);
        if !told {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&InputEnd {
            file,
            ended: true,
            frames,
            error,
        })?;
        line.push(b'\n');
        self.emit(&line)
    }

    fn emit(&mut self, bytes: &[u8]) -> Result<()> {
        self.open()?;
        let written = match &mut self.sink {
            Some(Sink::File { file, whole }) => write_whole(file, whole, bytes),
            Some(Sink::Stdout) => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            None => Ok(()),
        };
        Ok(written.map_err(|error| self.fault(error))?)
    }

    fn fault(&self, error: io::Error) -> OutputError {
        match &self.path {
            Some(path) => OutputError {
                place: format!("--out `{}`", path.display()),
                error,
            },
            None => OutputError::of_stdout(error),
        }
    }
}

/// Writes whole lines; where they do not fit, what was written of them is taken back.
fn write_whole(sink: &mut impl Cut, whole: &mut u64, bytes: &[u8]) -> io::Result<()> {
    let written = sink.write_all(bytes).and_then(|()| sink.flush());
    match written {
        Ok(()) => *whole += bytes.len() as u64,
        // A pipe or a device cannot be cut.
        Err(_) => _ = sink.cut(*whole),
    }
    written
}

fn csv_line<I: IntoIterator<Item = T>, T: AsRef<[u8]>>(fields: I) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    writer.into_inner().context("writing CSV")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room - self.bytes.len());
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Cut for Disk {
        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.bytes.truncate(usize::try_from(length).expect("small"));
            Ok(())
        }
    }

    #[test]
    fn a_line_that_does_not_fit_is_taken_back() {
        let mut disk = Disk {
            bytes: Vec::new(),
            room: 10,
        };
        let mut whole = 0;
        write_whole(&mut disk, &mut whole, b"{1}\n{2}\n").expect("fits");
        let error = write_whole(&mut disk, &mut whole, b"{3}\n").expect_err("does not fit");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.bytes, b"{1}\n{2}\n");
    }
}
