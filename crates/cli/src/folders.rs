//! How folders of data are named, as `--help` says it.

use affectlens::label::Expression;
use affectlens_data::{CLIP_SETS, ClipSet, Part};

/// Names of folders of pictures.
pub(crate) fn picture_folders() -> String {
    let mut text = parts();
    text +=
        "\nLABEL is an expression, in any case and with or without a number before it (3_Happy):\n";
    for expression in Expression::ALL {
        let (name, aliases) = (expression.name(), expression.aliases().join(", "));
        text += &format!("  {name:<10} or {aliases}\n");
    }
    text + "Folders that are named by numbers alone are refused: data sets number expressions differently."
}

/// Names of folders of clips.
pub(crate) fn clip_folders() -> String {
    let mut text = parts();
    text += "\nClasses, as common data sets name them; case, hyphens, underscores and spaces do not matter:\n";
    let mut row = |[set, parts, violent, calm]: [&str; 4]| {
        text += format!("  {set:<29} {parts:<18} {violent:<10} {calm}").trim_end();
        text.push('\n');
    };
    row(["data set", "parts", "violent", "non-violent"]);
    for ClipSet {
        name,
        parts,
        violent,
        calm,
    } in CLIP_SETS
    {
        let parts = parts.map_or_else(|| "-".to_owned(), |parts| parts.join(", "));
        row([name, &parts, violent, calm]);
    }
    text + "Each part needs both classes. Clips in folders of other classes (SCVD's Weaponized) must be moved."
}

fn parts() -> String {
    let names = |part: Part| part.names().concat().join(", ");
    let [training, validation] = [Part::Training, Part::Validation].map(names);
    format!("Folders of parts: {training} for training; {validation} for validation.\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_in_the_help() {
        let clips = clip_folders();
        for set in CLIP_SETS {
            let line = clips.lines().find(|line| line.contains(set.name));
            let line = line.expect("a line for the set");
            assert!(
                line.contains(set.violent) && line.ends_with(set.calm),
                "{line}"
            );
        }
        let pictures = picture_folders();
        assert!(pictures.contains("happiness  or happy"), "{pictures}");
        assert!(
            pictures.contains("validation, val, valid, dev, test"),
            "{pictures}"
        );
    }
}
