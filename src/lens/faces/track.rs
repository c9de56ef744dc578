//! One face over time, smoothed with one window per task.

use std::collections::VecDeque;

use super::{FaceControls, FaceScores, baseline::Baseline};
use crate::smoothing::{SmoothingError, SmoothingMode, TrackSmoother};

/// The window can be widened to 1000 frames; what is older never counts again.
const REMEMBERED: u64 = 2001;

/// Values of a face that are smoothed with a window of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Expression,
    ValenceArousal,
    ActionUnits,
}

impl Row {
    pub(super) const ALL: [Self; 3] = [Self::Expression, Self::ValenceArousal, Self::ActionUnits];

    pub(super) fn half_window(self, controls: &FaceControls) -> usize {
        match self {
            Self::Expression => controls.half_window,
            Self::ValenceArousal => controls.valence_arousal_half_window,
            Self::ActionUnits => controls.action_units_half_window,
        }
    }
}

/// The values that each row smooths, in the order of [`Row::ALL`].
pub(super) type Rows = [Option<Vec<f32>>; 3];

/// One face over time. The scores stay so that changed controls act on the whole window at once.
#[derive(Debug)]
pub(super) struct Track {
    mode: SmoothingMode,
    scores: VecDeque<(u64, FaceScores)>,
    /// In the order of [`Row::ALL`].
    smoothers: [TrackSmoother; 3],
    /// The neutral look that is taken off.
    baseline: Option<Baseline>,
    /// The one that is being gathered.
    gathered: Baseline,
    last: u64,
    closed: bool,
}

impl Track {
    pub(super) fn new(mode: SmoothingMode, controls: &FaceControls) -> Self {
        Self {
            mode,
            scores: VecDeque::new(),
            smoothers: smoothers(mode, controls),
            baseline: None,
            gathered: Baseline::default(),
            last: 0,
            closed: false,
        }
    }

    /// Takes the scores of the next frame that shows the face; `rows` picks the values that are smoothed, in the order
    /// of [`Row::ALL`], without the neutral look that it is given.
    pub(super) fn push(
        &mut self,
        frame: u64,
        scores: FaceScores,
        rows: impl Fn(&FaceScores, Option<&Baseline>) -> Rows,
    ) -> Result<(), SmoothingError> {
        self.smooth(frame, &scores, rows)?;
        self.scores.push_back((frame, scores));
        self.last = frame;
        while self
            .scores
            .front()
            .is_some_and(|(oldest, _)| oldest + REMEMBERED < frame)
        {
            self.scores.pop_front();
        }
        Ok(())
    }

    /// Smooths anew with other controls.
    pub(super) fn replay(
        &mut self,
        controls: &FaceControls,
        rows: impl Fn(&FaceScores, Option<&Baseline>) -> Rows,
    ) -> Result<(), SmoothingError> {
        self.smoothers = smoothers(self.mode, controls);
        let scores = std::mem::take(&mut self.scores);
        let replayed = scores
            .iter()
            .try_for_each(|(frame, scores)| self.smooth(*frame, scores, &rows));
        self.scores = scores;
        replayed
    }

    fn smooth(
        &mut self,
        frame: u64,
        scores: &FaceScores,
        rows: impl Fn(&FaceScores, Option<&Baseline>) -> Rows,
    ) -> Result<(), SmoothingError> {
        let rows = rows(scores, self.baseline.as_ref());
        for (row, smoother) in rows.into_iter().zip(&mut self.smoothers) {
            if let Some(values) = row {
                smoother.push(frame, &values)?;
            }
        }
        Ok(())
    }

    /// Begins to gather a neutral look.
    pub(super) fn begin_baseline(&mut self) {
        self.gathered = Baseline::default();
    }

    /// The neutral look that is being gathered.
    pub(super) fn gathered(&mut self) -> &mut Baseline {
        &mut self.gathered
    }

    /// Puts the look that was gathered in force, if there is one; [`Self::replay`] takes it off past frames.
    pub(super) fn adopt_baseline(&mut self) {
        let gathered = std::mem::take(&mut self.gathered);
        if !gathered.is_empty() {
            self.baseline = Some(gathered);
        }
    }

    /// Forgets the neutral look; [`Self::replay`] gives it back to past frames.
    pub(super) fn clear_baseline(&mut self) {
        self.baseline = None;
    }

    /// The neutral look that is taken off.
    pub(super) fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_ref()
    }

    /// Takes a personal head's part out of past frames; [`Self::replay`] smooths them without it.
    pub(super) fn forget_personal(&mut self) {
        for (_, scores) in &mut self.scores {
            scores.personal.clear();
        }
    }

    /// Ends the track: its last frames are smoothed over what there is.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether frames from `oldest` on may still ask for it.
    pub(super) fn is_wanted(&self, oldest: u64) -> bool {
        !self.closed || self.last >= oldest
    }

    /// Whether all windows of a frame are complete.
    pub(super) fn is_complete(&self, frame: u64) -> bool {
        // Tasks that were not asked for have no rows.
        let smoothers = self.smoothers.iter().filter(|it| it.last().is_some());
        let delay = smoothers.map(TrackSmoother::delay).max();
        self.closed || frame + delay.unwrap_or_default() as u64 <= self.last
    }

    /// The scores of a frame that shows the face, as long as they are remembered.
    pub(super) fn scores(&self, frame: u64) -> Option<&FaceScores> {
        let place = self
            .scores
            .binary_search_by_key(&frame, |(other, _)| *other);
        Some(&self.scores[place.ok()?].1)
    }

    /// A smoothed row; `None` where nothing was scored about that frame.
    pub(super) fn smoothed(&self, row: Row, frame: u64) -> Option<Vec<f32>> {
        self.smoothers[row as usize].smoothed_so_far(frame)
    }
}

fn smoothers(mode: SmoothingMode, controls: &FaceControls) -> [TrackSmoother; 3] {
    Row::ALL.map(|row| TrackSmoother::new(mode, row.half_window(controls)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(rows: &[Row], frames: u64) -> Track {
        let controls = FaceControls {
            gla: false,
            half_window: 1,
            valence_arousal_half_window: 3,
            action_units_half_window: 0,
            confidence: 1.0,
            blend: 1.0,
            landmarks: false,
            turned: false,
            detector_threshold: 0.5,
            face_weight: 1.0,
            speech_only: false,
        };
        let scores = FaceScores::default();
        let mut track = Track::new(SmoothingMode::Delayed, &controls);
        for frame in 0..frames {
            let value = |row| rows.contains(&row).then(|| vec![frame as f32]);
            let rows = |_: &_, _: Option<&_>| Row::ALL.map(value);
            track.push(frame, scores.clone(), rows).expect("ascending");
        }
        track
    }

    #[test]
    fn a_frame_waits_for_the_widest_window_that_is_asked_for() {
        let expression = [Row::Expression];
        assert!(!track(&expression, 1).is_complete(0));
        assert!(track(&expression, 2).is_complete(0));
        let both = [Row::Expression, Row::ValenceArousal];
        assert!(!track(&both, 3).is_complete(0));
        let track = track(&both, 4);
        assert!(track.is_complete(0) && !track.is_complete(1));
        assert_eq!(track.smoothed(Row::Expression, 0), Some(vec![0.5]));
        assert_eq!(track.smoothed(Row::ValenceArousal, 0), Some(vec![1.5]));
        assert_eq!(track.smoothed(Row::ActionUnits, 0), None);
    }

    #[test]
    fn a_row_that_is_missing_at_the_end_does_not_hold_the_others_up() {
        let mut track = track(&[Row::Expression, Row::ActionUnits], 3);
        let scores = track.scores[0].1.clone();
        let only = |_: &_, _: Option<&_>| [Some(vec![9.0]), None, None];
        track.push(3, scores.clone(), only).expect("ascending");
        track.push(4, scores, only).expect("ascending");
        assert!(track.is_complete(3));
        assert_eq!(track.smoothed(Row::ActionUnits, 2), Some(vec![2.0]));
        assert_eq!(track.smoothed(Row::ActionUnits, 3), None);
        track.close();
        assert!(track.is_complete(4) && track.is_wanted(4) && !track.is_wanted(5));
    }
}
