//! Cross-validation: a head is trained without each fold of the clips and scored on it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::Args;
use affectlens::{head::TemporalHead, windowing::Windows};
use affectlens_data::{ClipScores, VideoData, Videos, score_video};
use affectlens_train::{Fold, HeadRecipe, ViolenceRecipe, head_recipe, mean_and_spread};

/// Probability from which a part of a head calls a clip violent.
const PART_THRESHOLD: f32 = 0.5;

impl Args {
    /// Trains without each fold and scores it, once for each seed; prints a table. Gives what the head's file keeps of
    /// it, and the heads that were trained.
    pub(super) fn cross_validate(
        &self,
        clips: &Videos,
        members: &BTreeMap<String, Vec<usize>>,
        recipe: &dyn HeadRecipe,
    ) -> Result<(BTreeMap<String, String>, Vec<Fold>)> {
        let settings = recipe.settings();
        let windows = Windows::new(settings.length, self.frame_step)?;
        let mut table = Table::default();
        let mut all = Vec::new();
        for seed in (0..self.seeds).map(|more| settings.seed.wrapping_add(more)) {
            let recipe = head_recipe(ViolenceRecipe {
                seed,
                ..settings.clone()
            });
            let mut folds = Vec::new();
            for (fold, members) in members {
                complain!("seed {seed}, without fold {fold}");
                let is_member = |video: &usize| members.contains(&clips.places[*video]);
                let held_out: Vec<usize> = (0..clips.places.len()).filter(is_member).collect();
                folds.push(recipe.hold_out(&clips.data, &held_out)?);
            }
            let mut scores = ClipScores::default();
            for (number, fold) in folds.iter().enumerate() {
                let head = recipe.head_of(&folds, number)?;
                add_clips(
                    &mut scores,
                    &head,
                    &clips.data.select(&fold.videos),
                    &windows,
                )?;
            }
            table.add("all", seed, &scores, self.threshold)?;
            for (part, name) in recipe.parts().iter().enumerate() {
                table.add(name, seed, &scores_of_part(&folds, part), PART_THRESHOLD)?;
            }
            all.extend(folds);
        }
        Ok((table.finish(), all))
    }
}

/// Scores whole clips with a head.
fn add_clips(
    scores: &mut ClipScores,
    head: &TemporalHead,
    clips: &VideoData,
    windows: &Windows,
) -> Result<()> {
    for (video, features) in clips.iter() {
        let probabilities = score_video(head, features, windows, false)?;
        scores.add(video.labels.contains(&Some(true)), &probabilities);
    }
    Ok(())
}

/// Scores of held-out clips by one part of the heads.
fn scores_of_part(folds: &[Fold], part: usize) -> ClipScores {
    let mut scores = ClipScores::default();
    for clip in folds.iter().flat_map(|fold| &fold.scores) {
        let probability = 1.0 / (1.0 + (-clip.parts[part]).exp());
        scores.add(clip.violent, &[probability]);
    }
    scores
}

/// Accuracy and area under the curve of clips that were held out, a row a seed and part of the head.
#[derive(Default)]
struct Table(Vec<(&'static str, [f64; 2])>);

impl Table {
    fn add(
        &mut self,
        part: &'static str,
        seed: u64,
        scores: &ClipScores,
        threshold: f32,
    ) -> Result<()> {
        let accuracy = scores.confusion(threshold).accuracy();
        let area = scores.area().context("clips of one kind alone")?;
        if self.0.is_empty() {
            say!("part     seed  accuracy  AUC");
        }
        say!("{part:<8} {seed:>4}  {accuracy:.4}    {area:.4}");
        self.0.push((part, [accuracy, area]));
        Ok(())
    }

    /// Prints mean and spread; gives those of the whole head by the names they have in its file.
    fn finish(self) -> BTreeMap<String, String> {
        let mut kept = BTreeMap::new();
        for part in ["all", "network", "linear"] {
            let rows = self.0.iter().filter(|(name, _)| *name == part);
            let rows: Vec<[f64; 2]> = rows.map(|(_, row)| *row).collect();
            if rows.is_empty() {
                continue;
            }
            let column = |column: usize| -> [f64; 2] {
                let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
                mean_and_spread(&values)
            };
            let columns = [("accuracy", column(0)), ("auc", column(1))];
            let text = |[mean, spread]: [f64; 2]| format!("{mean:.4} ± {spread:.4}");
            say!(
                "{part:<8} mean  {}  {}",
                text(columns[0].1),
                text(columns[1].1)
            );
            if part == "all" {
                kept.extend(
                    columns.map(|(name, value)| (format!("cross_validation_{name}"), text(value))),
                );
            }
        }
        kept
    }
}
