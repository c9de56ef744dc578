//! When a person looks neutral.

use crate::error::LensError;

/// The span of a stream in which the people in it look neutral.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NeutralSpan {
    /// Time of the first frame, milliseconds; `None` until the next one comes.
    from_ms: Option<f64>,
    length_ms: f64,
    /// Whether it began with the next frame, wherever that was in the stream.
    is_next: bool,
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    Within,
    After,
}

impl NeutralSpan {
    /// From the next frame on, that long.
    ///
    /// # Errors
    ///
    /// [`LensError::NeutralSpan`] unless the length is finite and above 0.
    pub fn next(length_ms: f64) -> Result<Self, LensError> {
        Self::new(None, length_ms)
    }

    /// The frames from one time of the stream up to, but without, another.
    ///
    /// # Errors
    ///
    /// [`LensError::NeutralSpan`] unless both are finite and the second is later.
    pub fn between(from_ms: f64, to_ms: f64) -> Result<Self, LensError> {
        Self::new(Some(from_ms), to_ms - from_ms)
    }

    fn new(from_ms: Option<f64>, length_ms: f64) -> Result<Self, LensError> {
        let is_finite = length_ms.is_finite() && from_ms.is_none_or(f64::is_finite);
        if !is_finite || length_ms <= 0.0 {
            return Err(LensError::NeutralSpan { got: length_ms });
        }
        Ok(Self {
            from_ms,
            length_ms,
            is_next: from_ms.is_none(),
        })
    }

    /// Where the next frame lies.
    pub(super) fn place(&mut self, time_ms: f64) -> Place {
        let from_ms = *self.from_ms.get_or_insert(time_ms);
        if time_ms < from_ms {
            Place::Before
        } else if time_ms < from_ms + self.length_ms {
            Place::Within
        } else {
            Place::After
        }
    }

    /// A new stream begins: a span of the next frames begins with it anew.
    pub(super) fn begin_anew(&mut self) {
        if self.is_next {
            self.from_ms = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_of_the_next_frames_begins_with_the_next_one_of_its_stream() {
        let mut span = NeutralSpan::next(100.0).expect("above 0");
        let places = [700.0, 799.0, 800.0].map(|time| span.place(time));
        assert_eq!(places, [Place::Within, Place::Within, Place::After]);
        assert_eq!(span.place(5.0), Place::Before);
        span.begin_anew();
        assert_eq!(span.place(5.0), Place::Within);
    }

    #[test]
    fn a_span_between_two_times_stays_where_it_is() {
        let mut span = NeutralSpan::between(40.0, 80.0).expect("ordered");
        span.begin_anew();
        let places = [0.0, 40.0, 80.0].map(|time| span.place(time));
        assert_eq!(places, [Place::Before, Place::Within, Place::After]);
    }

    #[test]
    fn a_span_without_length_is_refused() {
        for length_ms in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = NeutralSpan::next(length_ms).expect_err("no length");
            assert_eq!(error.code(), "bad-argument");
        }
        let error = NeutralSpan::between(3000.0, 1000.0).expect_err("backwards");
        assert_eq!(
            error.to_string(),
            "neutral span lasts -2000 ms, expected a finite number above 0"
        );
    }
}
