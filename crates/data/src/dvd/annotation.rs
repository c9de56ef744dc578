//! Annotation files: a frame number and a label a line.

use std::path::Path;

use super::DvdError;
use crate::delimited::{Malformed, Table, names};

/// Names of the columns.
const COLUMNS: [&str; 2] = ["Frame_Number", "Label"];

/// The labels of frames 1, 2, … of an annotation file; `None` for numbers that it leaves out.
///
/// The columns are `Frame_Number` and `Label` in any case, else the first two. A first line that begins with a number is
/// no header.
///
/// # Errors
///
/// [`DvdError::Line`] naming `path` for a number that is none, a label other than 0 and 1, or a frame labelled in two
/// ways.
pub fn parse_frame_labels(text: &str, path: &Path) -> Result<Vec<Option<bool>>, DvdError> {
    let mut labels: Vec<Option<bool>> = Vec::new();
    for row in rows(text, path)? {
        let Row {
            line,
            number,
            label,
        } = row;
        let refuse = |reason: String| DvdError::Line {
            path: path.to_owned(),
            line,
            reason,
        };
        let label = match label.as_str() {
            "0" => false,
            "1" => true,
            other => return Err(refuse(format!("expected label 0 or 1, got `{other}`"))),
        };
        if labels.len() < number {
            labels.resize(number, None);
        }
        match labels[number - 1].replace(label) {
            Some(before) if before != label => {
                return Err(refuse(format!(
                    "frame {number} is labelled 0 and 1, expected one label"
                )));
            }
            _ => {}
        }
    }
    Ok(labels)
}

/// The frame numbers that a template of a submission asks for, in order.
///
/// # Errors
///
/// [`DvdError::Line`] naming `path` for a number that is none.
pub fn parse_template(text: &str, path: &Path) -> Result<Vec<usize>, DvdError> {
    Ok(rows(text, path)?
        .into_iter()
        .map(|row| row.number)
        .collect())
}

struct Row {
    line: usize,
    number: usize,
    label: String,
}

fn rows(text: &str, path: &Path) -> Result<Vec<Row>, DvdError> {
    /// Ten hours of video; a larger number is a mistake, and would ask for that much memory.
    const MOST_FRAMES: usize = 1 << 20;
    let refuse = |line: usize, reason: String| DvdError::Line {
        path: path.to_owned(),
        line,
        reason,
    };
    let table = Table::read(text, |first| {
        let has_name = |name| first.iter().any(|field| names(field, name));
        let starts_with_number = first.get(0).is_some_and(|it| it.parse::<f64>().is_ok());
        COLUMNS.into_iter().any(has_name) || !starts_with_number
    });
    let table = table.map_err(|Malformed { line, reason }| refuse(line, reason))?;
    let [number, label] = [0, 1].map(|place| table.column(COLUMNS[place]).unwrap_or(place));
    let rows = table.records.iter().map(|record| {
        let got = record.field(number);
        let parsed = got.parse().ok();
        let number = parsed.filter(|number| (1..=MOST_FRAMES).contains(number));
        let number = number.ok_or_else(|| {
            let expected = "a frame number from 1 to 1048576";
            refuse(record.line, format!("expected {expected}, got `{got}`"))
        })?;
        Ok(Row {
            line: record.line,
            number,
            label: record.field(label).to_owned(),
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Result<Vec<Option<bool>>, String> {
        parse_frame_labels(text, Path::new("7.csv")).map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_found_by_name_or_by_place() {
        let expected = Ok(vec![Some(true), None, Some(false)]);
        assert_eq!(labels("Frame_Number,Label\n1,1\n3,0\n"), expected);
        assert_eq!(
            labels("\u{feff}id,LABEL,frame_number\r\nx,0,3\r\nx,1,1\r\n"),
            expected
        );
        assert_eq!(labels("frame,violent\n3,0\n1,1\n1,1\n"), expected);
        assert_eq!(labels("Frame_Number,Label\n"), Ok(vec![]));
    }

    #[test]
    fn without_a_header_no_frame_is_lost() {
        let expected = Ok(vec![Some(true), None, Some(false)]);
        for text in [
            "1,1\n3,0\n",
            "\u{feff}1;1\r\n3;0\r\n",
            "\n1\t1\n\n3\t0",
            "\"1\",\"1\"\n\"3\",\"0\"\n",
            "frame number;label\n1;1\n\n3;0\n",
        ] {
            assert_eq!(labels(text), expected, "{text:?}");
        }
        let numbers = parse_template("4\n5\n", Path::new("t.csv"));
        assert_eq!(numbers.expect("numbers"), [4, 5]);
    }

    #[test]
    fn malformed_annotations_are_named_with_the_line() {
        for (text, expected) in [
            (
                "n,l\n1,1\n2,2\n",
                "`7.csv` line 3: expected label 0 or 1, got `2`",
            ),
            ("n,l\n1\n", "`7.csv` line 2: expected label 0 or 1, got ``"),
            (
                "n,l\n0,1\n",
                "`7.csv` line 2: expected a frame number from 1 to 1048576, got `0`",
            ),
            (
                "n,l\nx,1\n",
                "`7.csv` line 2: expected a frame number from 1 to 1048576, got `x`",
            ),
            (
                "n,l\n99999999999,1\n",
                "`7.csv` line 2: expected a frame number from 1 to 1048576, got `99999999999`",
            ),
            (
                "n,l\n4,1\n4,0\n",
                "`7.csv` line 3: frame 4 is labelled 0 and 1, expected one label",
            ),
        ] {
            assert_eq!(labels(text).expect_err("malformed"), expected);
        }
    }
}
