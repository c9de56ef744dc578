//! Frames at a fixed rate from a stream of any rate.

/// Selects the frames of a stream that lie nearest to a regular grid in time.
///
/// ```
/// use affectlens::windowing::Sampler;
///
/// let mut sampler = Sampler::new(Some(8.0));
/// let taken: Vec<_> = (0..30).filter(|frame| sampler.takes(f64::from(*frame) * 1000.0 / 30.0)).collect();
/// assert_eq!(taken, [0, 4, 7, 11, 15, 19, 22, 26]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    /// Time between grid points; `None` takes every frame.
    interval_ms: Option<f64>,
    /// Time of the previous frame.
    previous_ms: Option<f64>,
    /// Time of the next grid point.
    due_ms: f64,
}

impl Sampler {
    /// Creates a sampler of `frames_per_second`, starting at the first frame; `None` takes every frame.
    pub fn new(frames_per_second: Option<f32>) -> Self {
        Self {
            interval_ms: frames_per_second.map(|rate| 1000.0 / f64::from(rate)),
            previous_ms: None,
            due_ms: 0.0,
        }
    }

    /// Time between grid points, milliseconds; `None` if every frame is taken.
    pub fn interval_ms(&self) -> Option<f64> {
        self.interval_ms
    }

    /// Returns whether to take the frame at `time_ms`. Call it for every frame of the stream, in order.
    ///
    /// A stream slower than the grid has each of its frames taken. Where time goes back the grid starts anew, with that
    /// frame; a second frame of the same time is not taken.
    pub fn takes(&mut self, time_ms: f64) -> bool {
        let Some(interval) = self.interval_ms else {
            return true;
        };
        let previous = self.previous_ms.replace(time_ms);
        let Some(previous) = previous.filter(|previous| *previous <= time_ms) else {
            self.due_ms = time_ms + interval;
            return true;
        };
        // If the next frame is as far away as the previous one, it would lie farther from the grid point than this one.
        // After a pause the frames come closer again.
        let half_gap = (time_ms - previous).min(interval) / 2.0;
        if time_ms + half_gap < self.due_ms {
            return false;
        }
        let missed = ((time_ms + half_gap - self.due_ms) / interval).floor();
        self.due_ms += interval * (missed.max(0.0) + 1.0);
        true
    }
}

/// Lists the frames that a [`Sampler`] of `per_second` takes from a video by the times of its frames, ascending.
pub fn sampled_frames(times_ms: &[f64], per_second: Option<f32>) -> Vec<usize> {
    let mut sampler = Sampler::new(per_second);
    let times = times_ms.iter().enumerate();
    times
        .filter(|(_, time)| sampler.takes(**time))
        .map(|(frame, _)| frame)
        .collect()
}

/// Spreads the values of sampled frames over all frames: each frame gets the value of the last sampled frame up to it.
///
/// `sampled` holds the frame of each value, ascending, the first being frame 0. The result has `frames` values, or none
/// if `values` is empty.
pub fn spread(values: &[f32], sampled: &[usize], frames: usize) -> Vec<f32> {
    let mut newest = 0;
    let value = |frame: usize| {
        while sampled.get(newest + 1).is_some_and(|next| *next <= frame) {
            newest += 1;
        }
        values.get(newest).copied()
    };
    (0..frames).map_while(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_nearest_to_a_regular_grid_stand_for_those_after_them() {
        let times = |frames: u32| -> Vec<f64> {
            let frames = 0..frames;
            frames
                .map(|frame| f64::from(frame) * 1000.0 / 30.0)
                .collect()
        };
        let sampled = sampled_frames(&times(10), Some(8.0));
        assert_eq!(sampled, [0, 4, 7], "3.75 apart");
        let spread_out = spread(&[0.1, 0.5, 0.9], &sampled, 10);
        assert_eq!(
            spread_out,
            [0.1, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9]
        );
        for per_second in [None, Some(30.0), Some(60.0)] {
            assert_eq!(sampled_frames(&times(3), per_second), [0, 1, 2]);
        }
        assert!(sampled_frames(&[], Some(8.0)).is_empty());
        assert!(spread(&[], &[], 3).is_empty());
    }

    #[test]
    fn a_slow_stream_is_taken_whole_and_a_jump_does_not_bunch_frames() {
        let mut sampler = Sampler::new(Some(8.0));
        assert!((0..5).all(|frame| sampler.takes(f64::from(frame) * 300.0)));
        assert!(sampler.takes(60_000.0));
        assert!(!sampler.takes(60_010.0));
        assert!(sampler.takes(60_125.0), "the pause is over");
        assert!((0..5).all(|_| Sampler::new(None).takes(0.0)));
    }

    #[test]
    fn the_grid_starts_at_any_time_and_anew_where_time_goes_back() {
        let mut sampler = Sampler::new(Some(8.0));
        for start in [1.75e12, 60_000.0, 0.0, -1e9] {
            let takes = |frame: &i32| sampler.takes(start + 40.0 * f64::from(*frame));
            let taken: Vec<_> = (0..12).filter(takes).collect();
            assert_eq!(taken, [0, 3, 6, 9], "{start}");
            assert!(!sampler.takes(start + 440.0), "the same moment again");
        }
        assert!(sampler.takes(1e300) && sampler.takes(0.0) && sampler.takes(125.0));
    }

    #[test]
    fn frames_after_a_pause_are_taken_as_before_it() {
        let mut sampler = Sampler::new(Some(8.0));
        for start in [0.0, 1800.0, 61_800.0] {
            let takes = |frame: &i32| sampler.takes(start + 40.0 * f64::from(*frame));
            let taken = (0..26).filter(takes).count();
            assert!(
                (8..=10).contains(&taken),
                "{taken} in a second after {start}"
            );
        }
    }
}
