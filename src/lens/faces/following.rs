//! Faces from frame to frame: the mesh looks where the landmarks of the last frame lay, as MediaPipe's does in videos.
//!
//! MediaPipe looks for faces anew only where it has lost one. Here the detector runs every few frames too, in files in
//! every one: somebody may have come, and its boxes are what faces are cropped by. Between its runs a box moves and grows
//! as the landmarks do.

use super::scored_face::{MOST_TOGETHER, ScoredFace};
use crate::{
    error::LensError,
    face::{BoundingBox, Detection, Landmarks},
    frame::Frame,
    landmarks::FaceMesh,
};

/// Frames of a live stream from one run of the detector to the next: whoever comes is found a fifth of a second later at
/// most.
pub(super) const LIVE_INTERVAL: u32 = 5;

/// Boxes of one face overlap by more, as intersection over union.
const SAME_FACE: f32 = 0.3;

/// The faces of the last frame of a stream.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// Width and height of the frames.
    size: [u32; 2],
    faces: Vec<Followed>,
    /// Frames since the detector ran.
    age: u32,
}

#[derive(Debug)]
struct Followed {
    /// What the detector found last.
    detection: Detection,
    /// Landmarks of that frame.
    anchor: Landmarks,
    /// Landmarks of the last frame.
    newest: Landmarks,
}

/// How the faces of a frame were found.
#[derive(Clone, Copy, Debug)]
pub(super) enum FoundBy {
    /// Where they were in the last frame; nobody else was looked for.
    Mesh,
    /// Looked for in all of the frame; `are_same` if these are the faces that the mesh sees, where it was followed.
    Detector { are_same: bool },
}

/// The faces of the last frame that the mesh sees in the next one.
#[derive(Default)]
pub(super) struct Seen {
    faces: Vec<ScoredFace>,
    /// Whether these are all, and nobody else is looked for.
    is_enough: bool,
}

impl Seen {
    /// The faces, unless the detector has to run.
    pub(super) fn instead_of_detector(self) -> Result<Vec<ScoredFace>, Self> {
        match self.is_enough {
            true => Ok(self.faces),
            false => Err(self),
        }
    }

    /// Hands the landmarks to what the detector found of the same faces; whether it found all of them and no other.
    pub(super) fn recognise(self, found: &mut [ScoredFace]) -> bool {
        let mut are_same = true;
        for face in self.faces {
            let overlap = |other: &ScoredFace| overlap(&face, other);
            let unseen = found.iter_mut().filter(|other| other.landmarks.is_none());
            let same = unseen.max_by(|a, b| overlap(a).total_cmp(&overlap(b)));
            match same.filter(|same| overlap(same) > SAME_FACE) {
                Some(same) => same.landmarks = face.landmarks,
                None => are_same = false,
            }
        }
        are_same && found.iter().all(|face| face.landmarks.is_some())
    }
}

impl Following {
    /// Looks for the faces of the last frame in the next one; the detector runs once in so many frames.
    pub(super) async fn look(
        &self,
        mesh: &FaceMesh,
        frame: &Frame,
        interval: u32,
    ) -> Result<Seen, LensError> {
        if self.faces.is_empty() || self.size != [frame.width(), frame.height()] {
            return Ok(Seen::default());
        }
        let mut faces = Vec::with_capacity(self.faces.len());
        for together in self.faces.chunks(MOST_TOGETHER) {
            let before: Vec<_> = together.iter().map(|face| &face.newest).collect();
            let found = mesh.follow(frame, &before).await?;
            let found = together.iter().zip(found);
            faces.extend(found.filter_map(|(face, now)| face.seen(now?)));
        }
        let is_twice = |(index, face): (usize, &ScoredFace)| {
            let mut before = faces[..index].iter();
            before.any(|other| overlap(face, other) > SAME_FACE)
        };
        let is_enough = self.age + 1 < interval
            && faces.len() == self.faces.len()
            && !faces.iter().enumerate().any(is_twice);
        Ok(Seen { faces, is_enough })
    }

    /// Follows the faces of a frame into the next one. The detector runs there too where somebody has come, whose landmarks
    /// are those of another region than in the frames that follow, and where it does not see what the mesh sees.
    pub(super) fn take(&mut self, frame: &Frame, faces: &[ScoredFace], found_by: FoundBy) {
        match found_by {
            FoundBy::Detector { are_same } => {
                self.size = [frame.width(), frame.height()];
                self.faces = faces.iter().filter_map(Followed::new).collect();
                self.age = if are_same { 0 } else { LIVE_INTERVAL };
            }
            FoundBy::Mesh if faces.len() == self.faces.len() => {
                for (followed, face) in self.faces.iter_mut().zip(faces) {
                    if let Some(landmarks) = &face.landmarks {
                        followed.newest.clone_from(landmarks);
                    }
                }
                self.age += 1;
            }
            // One has left the frame.
            FoundBy::Mesh => self.forget(),
        }
    }

    /// Leaves the next frame to the detector.
    pub(super) fn forget(&mut self) {
        self.faces.clear();
    }
}

impl Followed {
    fn new(found: &ScoredFace) -> Option<Self> {
        let landmarks = found.landmarks.as_ref()?;
        Some(Self {
            detection: found.detection.clone(),
            anchor: landmarks.clone(),
            newest: landmarks.clone(),
        })
    }

    /// The face with its box moved to where its landmarks are now; `None` if they say nothing.
    fn seen(&self, now: Landmarks) -> Option<ScoredFace> {
        let motion = Motion::between(&self.anchor, &now)?;
        Some(ScoredFace {
            landmarks: Some(now),
            ..ScoredFace::new(motion.moved(&self.detection))
        })
    }
}

/// How landmarks moved, turned and grew: the similarity that fits best in the least squares of all points.
#[derive(Clone, Copy, Debug)]
struct Motion {
    /// Centres before and now.
    centres: [[f32; 2]; 2],
    /// Factor and turn as a complex number.
    turn: [f32; 2],
}

impl Motion {
    fn between(before: &Landmarks, now: &Landmarks) -> Option<Self> {
        let centres = [before, now].map(centre);
        let (mut turn, mut spread) = ([0.0; 2], 0.0);
        for (from, to) in before.points.iter().zip(now.points.iter()) {
            let [x, y] = [0, 1].map(|axis| from[axis] - centres[0][axis]);
            let [u, v] = [0, 1].map(|axis| to[axis] - centres[1][axis]);
            turn[0] += x * u + y * v;
            turn[1] += x * v - y * u;
            spread += x * x + y * y;
        }
        let motion = Self {
            centres,
            turn: turn.map(|part| part / spread),
        };
        let factor = motion.factor();
        (factor.is_finite() && factor > 0.0).then_some(motion)
    }

    fn factor(&self) -> f32 {
        self.turn[0].hypot(self.turn[1])
    }

    fn point(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [before, now] = self.centres;
        let [x, y] = [x - before[0], y - before[1]];
        let [along, across] = self.turn;
        [
            now[0] + along * x - across * y,
            now[1] + across * x + along * y,
        ]
    }

    fn moved(&self, face: &Detection) -> Detection {
        let BoundingBox {
            x,
            y,
            width,
            height,
        } = face.bounding_box;
        let middle = self.point([x + width / 2.0, y + height / 2.0]);
        let [width, height] = [width, height].map(|side| side * self.factor());
        Detection {
            bounding_box: BoundingBox {
                x: middle[0] - width / 2.0,
                y: middle[1] - height / 2.0,
                width,
                height,
            },
            score: face.score,
            keypoints: face.keypoints.map(|point| self.point(point)),
        }
    }
}

fn centre(face: &Landmarks) -> [f32; 2] {
    [0, 1].map(|axis| {
        let sum: f32 = face.points.iter().map(|point| point[axis]).sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of some hundreds")]
        let count = Landmarks::COUNT as f32;
        sum / count
    })
}

fn overlap(one: &ScoredFace, other: &ScoredFace) -> f32 {
    let [one, other] = [one, other].map(|face| &face.detection.bounding_box);
    one.intersection_over_union(other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn landmarks(points: impl Fn(usize) -> [f32; 2]) -> Landmarks {
        let points: Vec<_> = (0..Landmarks::COUNT)
            .map(|index| {
                let [x, y] = points(index);
                [x, y, 0.0]
            })
            .collect();
        Landmarks {
            points: points.try_into().expect("as many"),
            presence: 1.0,
        }
    }

    /// A spiral about a place.
    fn spiral(index: usize) -> [f32; 2] {
        let way = index as f32 / 20.0;
        let (sine, cosine) = way.sin_cos();
        [200.0 + 3.0 * way * cosine, 150.0 + 4.0 * way * sine]
    }

    fn detection() -> Detection {
        Detection {
            bounding_box: BoundingBox {
                x: 160.0,
                y: 90.0,
                width: 80.0,
                height: 100.0,
            },
            score: 0.8,
            keypoints: [[190.0, 120.0]; 6],
        }
    }

    fn followed() -> Followed {
        Followed {
            detection: detection(),
            anchor: landmarks(spiral),
            newest: landmarks(spiral),
        }
    }

    proptest! {
        #[test]
        fn a_box_moves_turns_and_grows_with_its_landmarks(
            turn in -3.0_f32..3.0, factor in 0.3_f32..3.0, x in -99.0_f32..99.0, y in -99.0_f32..99.0,
        ) {
            let (sine, cosine) = turn.sin_cos();
            let moved = |[a, b]: [f32; 2]| [
                x + factor * (cosine * a - sine * b),
                y + factor * (sine * a + cosine * b),
            ];
            let face = followed().seen(landmarks(|index| moved(spiral(index)))).expect("landmarks");
            let near = |one: [f32; 2], other: [f32; 2]| {
                let distance = (one[0] - other[0]).hypot(one[1] - other[1]);
                prop_assert!(distance < 0.02, "{one:?} {other:?}");
                Ok(())
            };
            let BoundingBox { x, y, width, height } = face.detection.bounding_box;
            near([width, height], [80.0 * factor, 100.0 * factor])?;
            near([x + width / 2.0, y + height / 2.0], moved([200.0, 140.0]))?;
            near(face.detection.keypoints[5], moved([190.0, 120.0]))?;
            prop_assert_eq!(face.detection.score, 0.8);
        }
    }

    #[test]
    fn landmarks_in_one_place_say_nothing() {
        assert!(followed().seen(landmarks(|_| [7.0, 7.0])).is_none());
        assert!(followed().seen(landmarks(|_| [f32::NAN; 2])).is_none());
    }

    #[test]
    fn what_the_detector_finds_again_is_recognised_once() {
        let seen = |number: usize| {
            let faces = (0..number).map(|_| followed().seen(landmarks(spiral)).expect("landmarks"));
            Seen {
                faces: faces.collect(),
                is_enough: false,
            }
        };
        let elsewhere = Detection {
            bounding_box: BoundingBox {
                x: 0.0,
                ..detection().bounding_box
            },
            ..detection()
        };
        let mut found = [elsewhere, detection()].map(ScoredFace::new);
        assert!(!seen(1).recognise(&mut found), "somebody has come");
        assert!(found[0].landmarks.is_none() && found[1].landmarks.is_some());
        assert!(seen(1).recognise(&mut [ScoredFace::new(detection())]));
        // The mesh has strayed onto the other's face.
        let mut found = [ScoredFace::new(detection())];
        assert!(!seen(2).recognise(&mut found));
        assert!(!seen(1).recognise(&mut []));
    }
}
