//! Annotation files: a frame number and a label a line.

use std::path::Path;

use super::DvdError;

/// The labels of frames 1, 2, … of an annotation file; `None` for numbers that it leaves out.
///
/// The columns are `Frame_Number` and `Label` in any case, else the first two.
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
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader
        .headers()
        .map_err(|error| refuse(1, error.to_string()))?;
    let column = |name: &str, place: usize| {
        let found = headers.iter().position(|it| it.eq_ignore_ascii_case(name));
        found.unwrap_or(place)
    };
    let [number, label] = [column("Frame_Number", 0), column("Label", 1)];
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| refuse(rows.len() + 2, error.to_string()))?;
        let place = record.position().map_or(rows.len() + 2, |position| {
            usize::try_from(position.line()).unwrap_or_default()
        });
        let field = |column: usize| record.get(column).unwrap_or_default();
        let number = field(number)
            .parse()
            .ok()
            .filter(|number| (1..=MOST_FRAMES).contains(number))
            .ok_or_else(|| {
                let got = field(number);
                let expected = "a frame number from 1 to 1048576";
                refuse(place, format!("expected {expected}, got `{got}`"))
            })?;
        rows.push(Row {
            line: place,
            number,
            label: field(label).to_owned(),
        });
    }
    Ok(rows)
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
