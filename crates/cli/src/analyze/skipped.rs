//! What of a folder was not analysed, and why, in a line.

use std::{collections::BTreeMap, path::Path};

use affectlens_data::{PassedOver, Unwanted};

/// Names that are given for each reason.
const MOST_NAMES: usize = 3;

/// Files and folders that were skipped.
#[derive(Default)]
pub(super) struct Skipped {
    names: BTreeMap<Unwanted, Vec<String>>,
}

impl Skipped {
    /// Counts what was not looked at.
    pub(super) fn pass_over(&mut self, passed_over: &[PassedOver]) {
        for it in passed_over {
            self.add(&it.path, it.reason);
        }
    }

    /// Counts a picture that cannot be read.
    pub(super) fn fail(&mut self, path: &Path) {
        self.add(path, Unwanted::Unreadable);
    }

    fn add(&mut self, path: &Path, reason: Unwanted) {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        self.names.entry(reason).or_default().push(name);
    }

    /// How many were skipped, and for each reason how many and which.
    pub(super) fn summary(&self) -> Option<String> {
        let count: usize = self.names.values().map(Vec::len).sum();
        let reasons: Vec<_> = self
            .names
            .iter()
            .map(|(reason, names)| describe(*reason, names))
            .collect();
        let things = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("skipped {count} file{things}: {}", reasons.join(", ")))
    }
}

fn describe(reason: Unwanted, names: &[String]) -> String {
    let one = names.len() == 1;
    let what = match (reason, one) {
        (Unwanted::NoPicture, true) => "is no picture",
        (Unwanted::NoPicture, false) => "are no pictures",
        (Unwanted::Video, true) => "is a video",
        (Unwanted::Video, false) => "are videos",
        (Unwanted::Folder, true) => "is a folder, read with --recursive",
        (Unwanted::Folder, false) => "are folders, read with --recursive",
        (Unwanted::Loop, true) => "is a folder that was read already or lies too deep",
        (Unwanted::Loop, false) => "are folders that were read already or lie too deep",
        (Unwanted::Unreadable, _) => "cannot be read",
    };
    let more = names.len().saturating_sub(MOST_NAMES);
    let mut list = names[..names.len() - more].join(", ");
    if more > 0 {
        list += &format!(" and {more} more");
    }
    format!("{} {what} ({list})", names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_count_and_names() {
        let mut skipped = Skipped::default();
        assert_eq!(skipped.summary(), None);
        skipped.fail(Path::new("in/2.png"));
        assert_eq!(
            skipped.summary().as_deref(),
            Some("skipped 1 file: 1 cannot be read (2.png)")
        );
        for number in 1..=5 {
            skipped.add(Path::new(&format!("{number}.txt")), Unwanted::NoPicture);
        }
        assert_eq!(
            skipped.summary().as_deref(),
            Some(
                "skipped 6 files: 5 are no pictures (1.txt, 2.txt, 3.txt and 2 more), 1 cannot be read (2.png)"
            )
        );
    }
}
