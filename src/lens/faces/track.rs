//! One face over time, smoothed with one window per task.

use std::collections::VecDeque;

use super::{FaceControls, FaceScores};
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

/// One face over time. The scores stay so that changed controls act on the whole window at once.
#[derive(Debug)]
pub(super) struct Track {
    mode: SmoothingMode,
    scores: VecDeque<(u64, FaceScores)>,
    /// In the order of [`Row::ALL`].
    smoothers: [TrackSmoother; 3],
    last: u64,
    closed: bool,
}

impl Track {
    pub(super) fn new(mode: SmoothingMode, controls: &FaceControls) -> Self {
        Self {
            mode,
            scores: VecDeque::new(),
            smoothers: Row::ALL.map(|row| TrackSmoother::new(mode, row.half_window(controls))),
            last: 0,
            closed: false,
        }
    }

    /// Takes the scores of the next frame that shows the face; `rows` picks the values that each row smooths.
    pub(super) fn push(
        &mut self,
        frame: u64,
        scores: FaceScores,
        rows: impl Fn(Row, &FaceScores) -> Option<Vec<f32>>,
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
        rows: impl Fn(Row, &FaceScores) -> Option<Vec<f32>>,
    ) -> Result<(), SmoothingError> {
        let scores = std::mem::take(&mut self.scores);
        let mut anew = Self::new(self.mode, controls);
        for (frame, scores) in &scores {
            anew.smooth(*frame, scores, &rows)?;
        }
        self.smoothers = anew.smoothers;
        self.scores = scores;
        Ok(())
    }

    fn smooth(
        &mut self,
        frame: u64,
        scores: &FaceScores,
        rows: impl Fn(Row, &FaceScores) -> Option<Vec<f32>>,
    ) -> Result<(), SmoothingError> {
        for (row, smoother) in Row::ALL.into_iter().zip(&mut self.smoothers) {
            if let Some(values) = rows(row, scores) {
                smoother.push(frame, &values)?;
            }
        }
        Ok(())
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

    /// A smoothed row; `None` where nothing was scored about that frame.
    pub(super) fn smoothed(&self, row: Row, frame: u64) -> Option<Vec<f32>> {
        self.smoothers[row as usize].smoothed_so_far(frame)
    }
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
        };
        let scores = FaceScores {
            head: Vec::new(),
            pretrained: Vec::new(),
            valence_arousal: None,
            action_units: None,
        };
        let mut track = Track::new(SmoothingMode::Delayed, &controls);
        for frame in 0..frames {
            let value = |row, _: &_| rows.contains(&row).then(|| vec![frame as f32]);
            track.push(frame, scores.clone(), value).expect("ascending");
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
        let only = |row, _: &_| (row == Row::Expression).then(|| vec![9.0]);
        track.push(3, scores.clone(), only).expect("ascending");
        track.push(4, scores, only).expect("ascending");
        assert!(track.is_complete(3));
        assert_eq!(track.smoothed(Row::ActionUnits, 2), Some(vec![2.0]));
        assert_eq!(track.smoothed(Row::ActionUnits, 3), None);
        track.close();
        assert!(track.is_complete(4) && track.is_wanted(4) && !track.is_wanted(5));
    }
}
