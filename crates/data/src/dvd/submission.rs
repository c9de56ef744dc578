//! Files of predictions as the challenge takes them: an archive with a list of labels for each video.

use std::{fmt::Write as _, io::Write as _, path::Path};

use super::{DvdError, at};

/// The submission of one video: `Frame_Number,Label` and a line a frame, or a line for each number of a template; numbers
/// beyond the video's ends get the label of its first or last frame.
pub fn submission_csv(violent: &[bool], template: Option<&[usize]>) -> String {
    let mut text = "Frame_Number,Label\n".to_owned();
    let mut line = |number: usize| {
        let place = number.saturating_sub(1).min(violent.len().max(1) - 1);
        let label = u8::from(violent.get(place).copied().unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{number},{label}");
    };
    match template {
        Some(numbers) => numbers.iter().copied().for_each(&mut line),
        None => (1..=violent.len()).for_each(&mut line),
    }
    text
}

/// Writes a submission: a zip archive with `ID.csv` of each video at its top.
///
/// # Errors
///
/// [`DvdError::Io`] if the file cannot be written; a file that was there is then as it was.
pub fn write_submission(path: &Path, videos: &[(String, String)]) -> Result<(), DvdError> {
    let write = || -> std::io::Result<()> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; this one is as readable as any other.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        let mut archive = zip::ZipWriter::new(&mut file);
        let options = zip::write::SimpleFileOptions::default();
        for (id, text) in videos {
            archive.start_file(format!("{id}.csv"), options)?;
            archive.write_all(text.as_bytes())?;
        }
        archive.finish()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| at(path, error))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::parse_template;

    #[test]
    fn submissions_are_written_to_the_byte() {
        let violent = [false, true, true];
        assert_eq!(
            submission_csv(&violent, None),
            "Frame_Number,Label\n1,0\n2,1\n3,1\n"
        );
        let template = parse_template("Frame_Number,Label\n0001,\n2,\n9,\n", Path::new("t.csv"));
        let template = template.expect("numbers");
        assert_eq!(
            submission_csv(&violent, Some(&template)),
            "Frame_Number,Label\n1,0\n2,1\n9,1\n"
        );
        assert_eq!(submission_csv(&[], Some(&[1])), "Frame_Number,Label\n1,0\n");

        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("submission.zip");
        let videos = [("7".to_owned(), submission_csv(&violent, None))];
        write_submission(&path, &videos).expect("writable");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| {
                let found = std::fs::metadata(path).expect("is there");
                found.permissions().mode()
            };
            let other = folder.path().join("other");
            std::fs::write(&other, b"").expect("writable");
            assert_eq!(mode(&path), mode(&other), "as readable as any other file");
        }
        let file = std::fs::File::open(&path).expect("written");
        let mut archive = zip::ZipArchive::new(file).expect("a zip archive");
        assert_eq!(archive.len(), 1);
        let mut text = String::new();
        let mut member = archive.by_name("7.csv").expect("is there");
        member.read_to_string(&mut text).expect("UTF-8");
        assert_eq!(text, videos[0].1);
        let lost = folder.path().join("missing/submission.zip");
        assert!(write_submission(&lost, &videos).is_err());
    }
}
