//! A share of a list of files, for one of several runs that do the whole list between them.

use std::{fmt, path::PathBuf, str::FromStr};

/// One of `count` shares, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    number: usize,
    count: usize,
}

impl Shard {
    /// Every `count`-th name of the sorted list: the same names whatever order the list comes in, each once.
    pub(super) fn of(self, mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
        paths.sort_unstable();
        paths.dedup();
        let mine = paths.into_iter().skip(self.number - 1);
        mine.step_by(self.count).collect()
    }

    /// What the share holds, for whoever reads the log of a run.
    pub(super) fn describe(self, mine: &[PathBuf]) -> String {
        let things = if mine.len() == 1 { "file" } else { "files" };
        let head = format!("shard {self} takes {} {things}", mine.len());
        let names = mine.iter().map(|path| format!("\n  {}", path.display()));
        [head].into_iter().chain(names).collect()
    }
}

impl FromStr for Shard {
    type Err = String;

    /// Reads `3/64`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/');
        let shard = numbers.and_then(|(number, count)| {
            let (number, count) = (number.parse().ok()?, count.parse().ok()?);
            (1..=count)
                .contains(&number)
                .then_some(Self { number, count })
        });
        shard.ok_or_else(|| "expected NUMBER/COUNT with a number from 1 on, like 3/64".to_owned())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<PathBuf> {
        names.into_iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_share_is_named_by_number_and_count() {
        let shard: Shard = "3/64".parse().expect("a share");
        assert_eq!((shard.number, shard.count), (3, 64));
        for text in [
            "", "3", "0/4", "5/4", "3/0", "-1/4", "a/b", "1/2/3", "1.5/2",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        let mine = shard.of(paths(["b", "c", "a", "d", "c"]));
        assert_eq!(mine, paths(["c"]));
        assert_eq!(shard.describe(&mine), "shard 3/64 takes 1 file\n  c");
        assert_eq!(shard.describe(&[]), "shard 3/64 takes 0 files");
    }

    #[test]
    fn shares_are_the_whole_list_and_nothing_twice() {
        let names: Vec<String> = (0..40).map(|it| format!("{}/{it}", it * 7 % 5)).collect();
        for length in [0, 1, 7, 40] {
            let mut listed = paths(names[..length].iter().map(String::as_str));
            for count in 1..9 {
                let share = |number| Shard { number, count }.of(listed.clone());
                let mut shared: Vec<PathBuf> = (1..=count).flat_map(share).collect();
                shared.sort_unstable();
                listed.sort_unstable();
                assert_eq!(shared, listed, "{length} files in {count} shares");
                listed.rotate_left(length / 2);
            }
        }
    }
}
