//! Kinds of heads over two streams of features, and their names.

/// A stream of numbers beside the embedding of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondStream {
    /// Where people are and how they move: the numbers of [`Skeletons`](crate::skeleton::Skeletons).
    Skeletons,
    /// The embedding of a picture of the optical flow.
    Flow,
}

impl SecondStream {
    /// Numbers of a frame in the published systems: those of a skeleton, and the embedding of EfficientNet-B0.
    pub const fn width(self) -> usize {
        match self {
            Self::Skeletons => 406,
            Self::Flow => 1280,
        }
    }

    /// What messages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skeletons => "skeletons",
            Self::Flow => "optical flow",
        }
    }
}

/// How two streams are joined in each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// One beside the other; skeletons go through a linear layer as wide as they are before.
    Early,
    /// One beside the other, then a linear layer, layer norm and GELU.
    Concat,
    /// A sum of both, weighed by a gate that sees both.
    Gated,
    /// Each attends to the other over the frames of the window; then a linear layer over both.
    Attention,
}

/// What relates the frames after the streams are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverTime {
    /// As [`TemporalKind::BiLstm`](super::TemporalKind::BiLstm).
    BiLstm,
    /// As [`TemporalKind::Tcn`](super::TemporalKind::Tcn).
    Tcn,
}

/// Architecture of a head over two streams of features, one of the published combinations.
///
/// ```
/// use affectlens::head::{FusionKind, SecondStream, TemporalKind};
///
/// let kind = TemporalKind::from_name("skeleton-attention-bilstm").and_then(TemporalKind::fusion);
/// assert_eq!(kind.map(FusionKind::stream), Some(SecondStream::Skeletons));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FusionKind {
    stream: SecondStream,
    joining: Joining,
    over_time: OverTime,
}

/// Every published combination, with its name.
#[rustfmt::skip]
const NAMES: [(&str, FusionKind); 14] = {
    use Joining::{Attention, Concat, Early, Gated};
    use OverTime::{BiLstm, Tcn};
    use SecondStream::{Flow, Skeletons};
    const fn of(stream: SecondStream, joining: Joining, over_time: OverTime) -> FusionKind {
        FusionKind { stream, joining, over_time }
    }
    [
        ("skeleton-early-bilstm", of(Skeletons, Early, BiLstm)),
        ("skeleton-concat-bilstm", of(Skeletons, Concat, BiLstm)),
        ("skeleton-gated-bilstm", of(Skeletons, Gated, BiLstm)),
        ("skeleton-attention-bilstm", of(Skeletons, Attention, BiLstm)),
        ("skeleton-concat-tcn", of(Skeletons, Concat, Tcn)),
        ("skeleton-gated-tcn", of(Skeletons, Gated, Tcn)),
        ("skeleton-attention-tcn", of(Skeletons, Attention, Tcn)),
        ("flow-early-bilstm", of(Flow, Early, BiLstm)),
        ("flow-concat-bilstm", of(Flow, Concat, BiLstm)),
        ("flow-gated-bilstm", of(Flow, Gated, BiLstm)),
        ("flow-attention-bilstm", of(Flow, Attention, BiLstm)),
        ("flow-concat-tcn", of(Flow, Concat, Tcn)),
        ("flow-gated-tcn", of(Flow, Gated, Tcn)),
        ("flow-attention-tcn", of(Flow, Attention, Tcn)),
    ]
};

impl FusionKind {
    /// All kinds.
    pub const ALL: [Self; NAMES.len()] = {
        let mut all = [NAMES[0].1; NAMES.len()];
        let mut place = 1;
        while place < NAMES.len() {
            all[place] = NAMES[place].1;
            place += 1;
        }
        all
    };

    /// The kind of that combination; `None` if nobody published one.
    pub fn find(stream: SecondStream, joining: Joining, over_time: OverTime) -> Option<Self> {
        let kind = Self {
            stream,
            joining,
            over_time,
        };
        Self::ALL.contains(&kind).then_some(kind)
    }

    /// The second stream.
    pub fn stream(self) -> SecondStream {
        self.stream
    }

    /// How both streams are joined.
    pub fn joining(self) -> Joining {
        self.joining
    }

    /// What relates the frames.
    pub fn over_time(self) -> OverTime {
        self.over_time
    }

    /// Name in files and options.
    pub fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(_, kind)| *kind == self);
        named.expect("every combination has a name").0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skeletons_are_as_wide_as_those_that_are_computed() {
        assert_eq!(SecondStream::Skeletons.width(), crate::skeleton::WIDTH);
    }

    #[test]
    fn combinations_are_found_by_their_parts() {
        for kind in FusionKind::ALL {
            let found = FusionKind::find(kind.stream(), kind.joining(), kind.over_time());
            assert_eq!(found, Some(kind));
        }
        let none = FusionKind::find(SecondStream::Flow, Joining::Early, OverTime::Tcn);
        assert_eq!(none, None);
    }
}
