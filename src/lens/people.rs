//! People in streams of frames: their points, and numbers that stay with them.

use crate::{
    device::OpenedDevice,
    error::LensError,
    face::Detection,
    frame::Frame,
    part::warm_up,
    person::{KEYPOINTS, Keypoint, Person},
    pose::{Followed, PoseDetector, PoseLandmarker, PoseLandmarks},
    report::PersonReport,
    role::Role,
    tracking::{Tracker, TrackerConfig},
    weights::Weights,
};

/// People that are looked for unless a caller says otherwise, as in the published violence systems.
pub const DEFAULT_MOST: usize = 2;

/// People of a frame that can be asked for: each one takes a run of a network.
pub const MOST: u16 = 100;

/// Files that people are found with.
#[derive(Clone, Debug)]
pub struct PeopleWeights {
    /// Detector, architecture `pose-detector`.
    pub detector: Weights,
    /// Points of a body, architecture `pose-landmarks`, `pose-landmarks-full` or `pose-landmarks-heavy`.
    pub landmarks: Weights,
}

/// Finds the people in one stream of frames.
///
/// Reports do not wait for later frames: those of a file are those of a webcam.
#[derive(Debug)]
pub struct PeopleLens {
    landmarker: PoseLandmarker,
    most: usize,
    followed: Followed,
    tracker: Tracker,
}

impl PeopleLens {
    /// Puts the networks on the device; on a GPU all kernels are compiled and tried.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the weights do not fit or the GPU refuses a kernel.
    pub async fn load(weights: PeopleWeights, device: &OpenedDevice) -> Result<Self, LensError> {
        Ok(Self {
            landmarker: load_landmarker(weights, device).await?,
            most: DEFAULT_MOST,
            followed: Followed::default(),
            tracker: Tracker::new(TrackerConfig::default()),
        })
    }

    /// Sets how many people are looked for in a frame at most, from the next frame on; everyone else is left aside.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Forgets the stream, and numbers people from 0 again.
    pub fn reset(&mut self) {
        self.followed = Followed::default();
        self.tracker = Tracker::new(TrackerConfig::default());
    }

    /// Begins a new stream; its people get numbers that were not used yet.
    pub fn begin_anew(&mut self) {
        self.followed = Followed::default();
        self.tracker.forget();
    }

    /// Passes over a frame that could not be decoded; people that come back after it keep their numbers.
    pub fn skip(&mut self) {
        self.tracker.update(&[]);
    }

    /// The people in a picture that belongs to no stream; they are numbered from 0.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the device fails.
    pub async fn analyze_single(&self, picture: &Frame) -> Result<Vec<PersonReport>, LensError> {
        let people = self.landmarker.find(picture, self.most).await?;
        Ok((0..).zip(people).map(report).collect())
    }

    /// The people in the stream's next frame.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the device fails; the frame then counts as one without people, and the stream goes on.
    pub async fn analyze(&mut self, frame: &Frame) -> Result<Vec<PersonReport>, LensError> {
        let followed = &mut self.followed;
        let found = self.landmarker.follow(frame, self.most, followed).await;
        let people = match found {
            Ok(people) => people,
            Err(error) => {
                self.skip();
                return Err(error.into());
            }
        };
        let boxes: Vec<_> = people.iter().map(boxed).collect();
        let ids = self.tracker.update(&boxes).ids;
        Ok(ids.into_iter().zip(people).map(report).collect())
    }
}

/// Puts both networks on the device; on a GPU all kernels are compiled and tried.
///
/// # Errors
///
/// [`LensError`] if the weights do not fit or the GPU refuses a kernel.
pub(crate) async fn load_landmarker(
    weights: PeopleWeights,
    device: &OpenedDevice,
) -> Result<PoseLandmarker, LensError> {
    let PeopleWeights {
        detector,
        landmarks,
    } = weights;
    let landmarker = PoseLandmarker::new(
        PoseDetector::load(detector, device).map_err(LensError::weights(Role::PoseDetector))?,
        PoseLandmarks::load(landmarks, device).map_err(LensError::weights(Role::PoseLandmarks))?,
    );
    warm_up(device, async |blank| Ok(landmarker.warm_up(blank).await?)).await?;
    Ok(landmarker)
}

/// What the tracker goes by: the box alone.
fn boxed(person: &Person) -> Detection {
    Detection {
        bounding_box: person.bounding_box(),
        score: person.score,
        keypoints: [[0.0; 2]; 6],
    }
}

fn report((id, person): (u64, Person)) -> PersonReport {
    let keypoint = |point: &Keypoint| {
        let [x, y, z] = point.place;
        [x, y, z, point.visibility]
    };
    PersonReport {
        id,
        bounding_box: person.bounding_box(),
        score: person.score,
        keypoints: person.keypoints.iter().map(keypoint).collect(),
    }
}

/// The person that a report is about.
pub(crate) fn of_report(report: &PersonReport) -> Person {
    let mut keypoints = [Keypoint::default(); KEYPOINTS.len()];
    for (keypoint, [x, y, z, visibility]) in keypoints.iter_mut().zip(&report.keypoints) {
        *keypoint = Keypoint {
            place: [*x, *y, *z],
            visibility: *visibility,
            // Reports do not hold it; what can be seen lies in the frame.
            presence: *visibility,
        };
    }
    Person {
        keypoints,
        score: report.score,
    }
}
