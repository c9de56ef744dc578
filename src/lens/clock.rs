//! Where one stream of frames ends and another begins.

use std::collections::VecDeque;

use crate::error::LensError;

/// A pause of up to this long belongs to the stream, even in a fast one: a busy machine, a hidden page.
const SHORTEST_WINDOW_MS: f64 = 2000.0;

/// A pause of up to this many usual steps belongs to the stream, even in a slow one; a face that is missing for as many
/// frames keeps its number.
const STEPS: f64 = 10.0;

/// Steps by which the usual one is known.
const REMEMBERED_STEPS: usize = 5;

/// Reads the times of frames: a new stream begins where time goes back, or jumps ahead by more than a window.
///
/// The window is that of violence, at least two seconds, or ten times the usual step between two frames if that is
/// longer: a camera of one frame every five seconds is slow, it does not jump. The usual step is the shortest of the
/// newest five. Frames of the same time are one moment of the same stream.
#[derive(Clone, Debug)]
pub(super) struct StreamClock {
    window_ms: f64,
    /// Time of the newest frame.
    last_ms: Option<f64>,
    /// The newest steps ahead.
    steps_ms: VecDeque<f64>,
}

/// What the time of a frame says about its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// The frame is the very first, or goes on with the stream.
    GoesOn,
    /// The frame is the first of a new stream.
    Jumps,
}

impl StreamClock {
    /// A clock before the first frame; `window_ms` is the time from the first to the last frame of the longest window
    /// that is meant in time.
    pub(super) fn new(window_ms: f64) -> Self {
        Self {
            window_ms: window_ms.max(SHORTEST_WINDOW_MS),
            last_ms: None,
            steps_ms: VecDeque::new(),
        }
    }

    /// Takes the time of the next frame.
    ///
    /// # Errors
    ///
    /// [`LensError::Time`] if it is not finite; the clock stays as it was.
    pub(super) fn read(&mut self, time_ms: f64) -> Result<Passage, LensError> {
        if !time_ms.is_finite() {
            return Err(LensError::Time { got: time_ms });
        }
        let Some(last_ms) = self.last_ms.replace(time_ms) else {
            return Ok(Passage::GoesOn);
        };
        let step_ms = time_ms - last_ms;
        let longest_ms = self.longest_step_ms();
        if step_ms > 0.0 {
            self.steps_ms.push_back(step_ms);
        }
        if self.steps_ms.len() > REMEMBERED_STEPS {
            self.steps_ms.pop_front();
        }
        let goes_on = (0.0..=longest_ms).contains(&step_ms);
        Ok(if goes_on {
            Passage::GoesOn
        } else {
            Passage::Jumps
        })
    }

    /// Forgets all frames.
    pub(super) fn reset(&mut self) {
        self.last_ms = None;
        self.steps_ms.clear();
    }

    /// The longest step that is no jump.
    fn longest_step_ms(&self) -> f64 {
        let usual_ms = self.steps_ms.iter().copied().reduce(f64::min);
        self.window_ms.max(STEPS * usual_ms.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Which of the frames are the first of a new stream.
    fn jumps(window_ms: f64, times_ms: &[f64]) -> Vec<usize> {
        let mut clock = StreamClock::new(window_ms);
        let mut jumps = |time_ms: &f64| clock.read(*time_ms).expect("finite") == Passage::Jumps;
        let frames = times_ms.iter().enumerate();
        frames
            .filter_map(|(frame, time_ms)| jumps(time_ms).then_some(frame))
            .collect()
    }

    #[test]
    fn a_pause_longer_than_the_window_and_a_step_back_begin_a_new_stream() {
        let after = |pause| jumps(1875.0, &[0.0, 40.0, 80.0, 80.0 + pause, 120.0 + pause]);
        assert!(after(0.0).is_empty(), "the same moment twice");
        assert!(after(2000.0).is_empty());
        assert_eq!(after(2001.0), [3]);
        assert_eq!(after(60_000.0), [3]);
        assert_eq!(after(-0.001), [3]);
        let wide = jumps(3750.0, &[0.0, 40.0, 3790.0, 7541.0]);
        assert_eq!(wide, [3]);
    }

    #[test]
    fn one_wrong_time_begins_two_streams_and_stops_nothing() {
        for wrong in [0.0, -5000.0, 1e300, f64::MIN] {
            let times: Vec<_> = (0..20).map(|frame| 1e6 + 40.0 * f64::from(frame)).collect();
            let mut spoilt = times.clone();
            spoilt[10] = wrong;
            assert_eq!(jumps(1875.0, &spoilt), [10, 11], "{wrong}");
            assert!(jumps(1875.0, &times).is_empty());
        }
    }

    #[test]
    fn a_slow_stream_does_not_jump_once_it_is_known_to_be_slow() {
        let slow: Vec<_> = (0..20).map(|frame| 5000.0 * f64::from(frame)).collect();
        assert_eq!(
            jumps(1875.0, &slow),
            [1],
            "after one frame it may be a pause"
        );
        let uneven = [0.0, 300.0, 1500.0, 4400.0, 4800.0, 7790.0];
        assert!(jumps(1875.0, &uneven).is_empty());
        // A fast one that becomes slow.
        let times = [0.0, 40.0, 80.0, 120.0].into_iter();
        let times: Vec<_> = times
            .chain(slow.iter().map(|time| time + 10_000.0))
            .collect();
        assert_eq!(
            jumps(1875.0, &times).last(),
            Some(&8),
            "five steps later it is known"
        );
    }

    #[test]
    fn a_time_that_is_not_finite_is_refused_and_changes_nothing() {
        let mut clock = StreamClock::new(0.0);
        assert_eq!(clock.read(0.0).expect("finite"), Passage::GoesOn);
        for (wrong, name) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
            let error = clock.read(wrong).expect_err("not finite");
            assert_eq!(error.code(), "bad-argument");
            assert_eq!(
                error.to_string(),
                format!("time of the frame is {name} ms, expected a finite number")
            );
        }
        assert_eq!(clock.read(40.0).expect("finite"), Passage::GoesOn);
        clock.reset();
        assert_eq!(clock.read(-1e9).expect("finite"), Passage::GoesOn);
    }

    proptest! {
        #[test]
        fn where_a_stream_starts_does_not_matter(
            start in prop::sample::select(vec![0.0, 1e4, -1e9, 1.75e12]),
            steps in prop::collection::vec(-1000_i32..6000, 0..30),
        ) {
            let mut times = vec![0.0];
            for step in steps {
                times.push(times[times.len() - 1] + f64::from(step));
            }
            let moved: Vec<_> = times.iter().map(|time| time + start).collect();
            prop_assert_eq!(jumps(1875.0, &moved), jumps(1875.0, &times));
        }
    }
}
