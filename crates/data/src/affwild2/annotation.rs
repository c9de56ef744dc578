//! Annotation files: a header, then one line a frame.

use std::path::Path;

use super::AffWild2Error;
use affectlens::label::{AFF_WILD2, AFF_WILD2_ACTION_UNITS};

/// What a frame is labelled with, and how that is written.
pub trait FrameLabel: Sized {
    /// Folder of the task's annotations.
    const TREE: &'static str;

    /// Reads a line; `None` where the annotators marked the frame as invalid.
    ///
    /// # Errors
    ///
    /// What was expected and what came.
    fn parse(line: &str) -> Result<Option<Self>, String>;
}

/// Index into [`AFF_WILD2`]; -1 is invalid.
impl FrameLabel for usize {
    const TREE: &'static str = "EXPR_Recognition_Challenge";

    fn parse(line: &str) -> Result<Option<Self>, String> {
        match line.parse::<i64>() {
            Ok(-1) => Ok(None),
            Ok(class) => Self::try_from(class)
                .ok()
                .filter(|class| *class < AFF_WILD2.len())
                .map(Some)
                .ok_or_else(|| format!("expected a class from 0 to 7 or -1, got `{line}`")),
            Err(_) => Err(format!("expected a class from 0 to 7 or -1, got `{line}`")),
        }
    }
}

/// Valence and arousal in `[-1, 1]`; below -1 (written -5) is invalid.
impl FrameLabel for [f32; 2] {
    const TREE: &'static str = "VA_Estimation_Challenge";

    fn parse(line: &str) -> Result<Option<Self>, String> {
        let refuse =
            || format!("expected valence,arousal from -1 to 1, or -5,-5 for invalid, got `{line}`");
        let values: Vec<f32> = line
            .split(',')
            .map(|value| value.trim().parse().map_err(|_| refuse()))
            .collect::<Result<_, _>>()?;
        let pair: Self = values.try_into().map_err(|_| refuse())?;
        if pair.iter().any(|value| value.is_nan() || *value > 1.0) {
            return Err(refuse());
        }
        Ok(pair.iter().all(|value| *value >= -1.0).then_some(pair))
    }
}

/// Whether each of [`AFF_WILD2_ACTION_UNITS`] is seen; a frame with any -1 is invalid.
impl FrameLabel for [bool; 12] {
    const TREE: &'static str = "AU_Detection_Challenge";

    fn parse(line: &str) -> Result<Option<Self>, String> {
        let states: Vec<i8> = line
            .split(',')
            .map(|value| {
                let state = value.trim().parse().ok();
                state
                    .filter(|state| [-1, 0, 1].contains(state))
                    .ok_or_else(|| format!("expected 0, 1 or -1, got `{}`", value.trim()))
            })
            .collect::<Result<_, _>>()?;
        let states: [i8; AFF_WILD2_ACTION_UNITS.len()] = states
            .try_into()
            .map_err(|states: Vec<i8>| format!("expected 12 values, got {}", states.len()))?;
        let is_valid = states.iter().all(|state| *state >= 0);
        Ok(is_valid.then(|| states.map(|state| state == 1)))
    }
}

/// The labels of frames 1, 2, … of an annotation file; `None` marks an invalid one.
///
/// The header's words do not matter, but it must be one: a label in its place, or the header of another task,
/// means that lines and frames do not pair up as believed.
///
/// # Errors
///
/// [`AffWild2Error::Line`] naming `path`.
pub fn parse_annotations<L: FrameLabel>(
    text: &str,
    path: &Path,
) -> Result<Vec<Option<L>>, AffWild2Error> {
    let refuse = |line: usize, reason: String| AffWild2Error::Line {
        path: path.to_owned(),
        line,
        reason,
    };
    let text = text.trim_start_matches('\u{feff}').trim_end();
    let mut lines = text.lines().map(str::trim);
    let header = lines.next().unwrap_or_default();
    if header.is_empty() {
        return Err(refuse(
            1,
            "expected a header, got nothing (empty file)".to_owned(),
        ));
    }
    if L::parse(header).is_ok() {
        return Err(refuse(
            1,
            format!("expected a header, got the label `{header}`"),
        ));
    }
    if let Some(tree) = tree_of(header).filter(|tree| *tree != L::TREE) {
        return Err(refuse(
            1,
            format!("expected the header of {}, got that of {tree}", L::TREE),
        ));
    }
    lines
        .zip(2..)
        .map(|(line, number)| L::parse(line).map_err(|reason| refuse(number, reason)))
        .collect()
}

/// Annotation tree that a header's first column belongs to.
fn tree_of(header: &str) -> Option<&'static str> {
    let first = header.split(',').next()?.trim().to_ascii_lowercase();
    match first.as_str() {
        "neutral" => Some(usize::TREE),
        "valence" => Some(<[f32; 2]>::TREE),
        "au1" => Some(<[bool; 12]>::TREE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<L: FrameLabel>(text: &str) -> Result<Vec<Option<L>>, String> {
        parse_annotations(text, Path::new("video1.txt")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_three_formats_are_read_with_either_line_end() {
        assert_eq!(
            parse::<usize>("Neutral,Anger\r\n0\r\n-1\r\n7\r\n"),
            Ok(vec![Some(0), None, Some(7)])
        );
        assert_eq!(
            parse::<[f32; 2]>("valence,arousal\n0.5,-1\n-5,-5\n-5,0.1"),
            Ok(vec![Some([0.5, -1.0]), None, None])
        );
        let mut expected = [false; 12];
        expected[1] = true;
        assert_eq!(
            parse::<[bool; 12]>("AU1,AU2\n0,1,0,0,0,0,0,0,0,0,0,0\n0, -1,0,0,0,0,0,0,0,0,0,0\n\n"),
            Ok(vec![Some(expected), None])
        );
    }

    #[test]
    fn malformed_files_are_named_with_the_line() {
        for (error, expected) in [
            (
                parse::<usize>("h\n0\n8").expect_err("no class 8"),
                "`video1.txt` line 3: expected a class from 0 to 7 or -1, got `8`",
            ),
            (
                parse::<usize>("h\n0\n\n1").expect_err("a hole"),
                "`video1.txt` line 3: expected a class from 0 to 7 or -1, got ``",
            ),
            (
                parse::<usize>("").expect_err("empty"),
                "`video1.txt` line 1: expected a header, got nothing (empty file)",
            ),
            (
                parse::<usize>("3\n0").expect_err("no header"),
                "`video1.txt` line 1: expected a header, got the label `3`",
            ),
            (
                parse::<usize>("valence,arousal\n0").expect_err("another task"),
                "`video1.txt` line 1: expected the header of EXPR_Recognition_Challenge, got that of VA_Estimation_Challenge",
            ),
            (
                parse::<[f32; 2]>("h\n0.1,NaN").expect_err("not a number"),
                "`video1.txt` line 2: expected valence,arousal from -1 to 1, or -5,-5 for invalid, got `0.1,NaN`",
            ),
            (
                parse::<[f32; 2]>("h\n0.1,1.5").expect_err("out of range"),
                "`video1.txt` line 2: expected valence,arousal from -1 to 1, or -5,-5 for invalid, got `0.1,1.5`",
            ),
            (
                parse::<[bool; 12]>("h\n0,1,0,0,0,0,0,0,0,0,0").expect_err("eleven"),
                "`video1.txt` line 2: expected 12 values, got 11",
            ),
            (
                parse::<[bool; 12]>("h\n0,2,0,0,0,0,0,0,0,0,0,0").expect_err("two"),
                "`video1.txt` line 2: expected 0, 1 or -1, got `2`",
            ),
        ] {
            assert_eq!(error, expected);
        }
    }
}
