//! Where faces are looked for: in a stream with one run of a network a frame, in a single picture as far as it shows small
//! ones.

use std::f32::consts::FRAC_PI_2;

use super::letterbox::pixels;
use super::view::{Tile, View, tiles};
use super::{DEFAULT_THRESHOLD, DetectError, FaceDetector};
use crate::face::{BoundingBox, Detection};
use crate::frame::Frame;

/// Frames in a row without a face after which the other detector has its turn.
const PATIENCE: u32 = 5;
/// A face of at least this part of the longer side needs no detector for small ones.
const LARGE_FACE: f32 = 0.2;
/// Tiles have a half, a quarter and an eighth of the longer side: at most 9 + 25 + 121 of them.
const TILE_PARTS: [u32; 3] = [2, 4, 8];
/// Parts that are looked at although no face was found before.
const BLIND_PARTS: u32 = 4;
/// Below it a tile shows the network nothing more, pixels.
const LEAST_TILE: u32 = 192;
/// A face of a tile is looked at again in a square of this many times its size.
const SURROUNDINGS: f32 = 3.0;
/// Score from which it is confirmed there. Of 139 faces of 90, 60 and 40 pixels one had less than 0.7, and no false one of
/// four frames without a face more than 0.6.
const CONFIRMED: f32 = 0.65;
/// Faces of tiles of one size that are looked at again, at most.
const MOST_CANDIDATES: usize = 256;
/// Views in one run of a network.
const BATCH: usize = 4;
/// Boxes of one face overlap more than this; of the smaller one more than this lies within the other.
const SAME_FACE: (f32, f32) = (0.3, 0.5);

/// Looks for faces with one detector, or with two of different range.
#[derive(Debug)]
pub(crate) struct FaceSearch {
    near: FaceDetector,
    far: Option<FaceDetector>,
    /// Whether the far one looks at the next frame of a stream.
    is_far: bool,
    /// Frames in a row without a face.
    without_face: u32,
}

impl FaceSearch {
    pub(crate) fn new(near: FaceDetector, far: Option<FaceDetector>) -> Self {
        Self {
            near,
            far,
            is_far: false,
            without_face: 0,
        }
    }

    /// The detector for the next frame of a stream.
    pub(crate) fn detector(&self) -> &FaceDetector {
        match &self.far {
            Some(far) if self.is_far => far,
            _ => &self.near,
        }
    }

    /// Chooses the detector for the next frame by what was found in this one: the other one after some frames without a
    /// face, the near one again where all faces are large.
    pub(crate) fn follow<'a>(
        &mut self,
        frame: &Frame,
        faces: impl IntoIterator<Item = &'a Detection>,
    ) {
        let smallest = smallest(faces);
        if smallest.is_finite() {
            self.without_face = 0;
            self.is_far &= smallest < LARGE_FACE * longest_side(frame);
            return;
        }
        self.without_face += 1;
        if self.without_face == PATIENCE {
            self.without_face = 0;
            self.is_far = self.far.is_some() && !self.is_far;
        }
    }

    /// Sets the score of a face from which the short range reports it, in `[0, 1]`; the full range, whose scores are
    /// higher, asks for as much more as it does by default.
    pub(crate) fn set_threshold(&mut self, threshold: f32) {
        for detector in [Some(&mut self.near), self.far.as_mut()]
            .into_iter()
            .flatten()
        {
            let more = detector.range().default_threshold() - DEFAULT_THRESHOLD;
            detector.set_threshold((threshold + more).min(1.0));
        }
    }

    /// Begins a new stream.
    pub(crate) fn begin_anew(&mut self) {
        (self.is_far, self.without_face) = (false, 0);
    }

    /// Whether a single picture is searched further than a frame of a stream.
    pub(crate) fn looks_closer(&self) -> bool {
        self.far.is_some()
    }

    /// Runs every network once, so that later runs find their kernels.
    pub(crate) async fn warm_up(&self, blank: &Frame) -> Result<(), DetectError> {
        if let Some(far) = &self.far {
            far.detect(blank).await?;
        }
        Ok(())
    }

    /// Faces in a frame whatever their direction, best first.
    pub(crate) async fn search_turned(&self, frame: &Frame) -> Result<Vec<Detection>, DetectError> {
        let mut found = Found::default();
        found.take(self.turned_faces(self.detector(), frame).await?);
        Ok(found.sorted())
    }

    /// Faces in a single picture, best first: with both detectors in all of it, whatever their direction where that is
    /// wanted, and in smaller and smaller tiles as long as that promises more. What a tile shows is looked at again.
    ///
    /// A face that several of these find is the one that the first of them found.
    pub(crate) async fn search(
        &self,
        frame: &Frame,
        is_turned: bool,
    ) -> Result<Vec<Detection>, DetectError> {
        let detectors = || [Some(&self.near), self.far.as_ref()].into_iter().flatten();
        let mut found = Found::default();
        for detector in detectors() {
            found.take(match is_turned {
                true => self.turned_faces(detector, frame).await?,
                false => detector.detect(frame).await?,
            });
        }
        let longest = frame.width().max(frame.height());
        let mut seen = longest_side(frame);
        for part in TILE_PARTS {
            let side = longest / part;
            let is_promising = match found.0.is_empty() {
                true => part <= BLIND_PARTS,
                false => smallest(&found.0) < LARGE_FACE * seen,
            };
            if side < LEAST_TILE || !is_promising || self.far.is_none() {
                break;
            }
            let tiles = tiles(frame, side);
            let mut in_tiles = Vec::new();
            for detector in detectors() {
                in_tiles.extend(faces_in_tiles(detector, frame, &tiles).await?);
            }
            found.take(self.confirmed(frame, in_tiles, &found).await?);
            seen /= 2.0;
        }
        Ok(found.sorted())
    }

    /// What a detector sees in a frame as it is and turned by quarters, the face first that stands most upright and has the
    /// best score: one that lies is seen too, but less well, and upside down its eyes are taken for the mouth.
    async fn turned_faces(
        &self,
        detector: &FaceDetector,
        frame: &Frame,
    ) -> Result<Vec<Detection>, DetectError> {
        let views = View::turned(frame, detector.range().input_side());
        let mut ranked = Vec::new();
        let mut turn = 0.0;
        for faces in detector.look(&views).await? {
            ranked.extend(faces.into_iter().map(|face| {
                let uprightness = (face.roll() + turn).cos();
                (face.score * uprightness, face)
            }));
            turn += FRAC_PI_2;
        }
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Ok(ranked.into_iter().map(|(_, face)| face).collect())
    }

    /// Those of some candidates that are not found yet and are seen again from near, as they are seen there: many tiles
    /// show many things that resemble a face.
    async fn confirmed(
        &self,
        frame: &Frame,
        candidates: Vec<Detection>,
        found: &Found,
    ) -> Result<Vec<Detection>, DetectError> {
        let mut new = Found::default();
        new.take_best(candidates);
        new.0.retain(|face| !found.has(face));
        new.0.truncate(MOST_CANDIDATES);
        let around = |face: &Detection| Tile::around(&face.bounding_box, SURROUNDINGS, frame);
        let tiles: Vec<_> = new.0.iter().map(around).collect();
        let seen = look_at_tiles(&self.near, frame, &tiles).await?;
        let again = new.0.iter().zip(seen).filter_map(|(face, seen)| {
            let mut seen = seen.into_iter();
            let again = seen.find(|it| is_same(&it.bounding_box, &face.bounding_box));
            again.filter(|face| face.score >= CONFIRMED)
        });
        Ok(again.collect())
    }
}

/// The faces that no tile cuts.
async fn faces_in_tiles(
    detector: &FaceDetector,
    frame: &Frame,
    tiles: &[Tile],
) -> Result<Vec<Detection>, DetectError> {
    let seen = look_at_tiles(detector, frame, tiles).await?;
    let whole = tiles.iter().zip(seen).flat_map(|(tile, faces)| {
        let faces = faces.into_iter();
        faces.filter(|face| !tile.cuts(&face.bounding_box, frame))
    });
    Ok(whole.collect())
}

/// The faces of each tile, a few tiles in one run.
async fn look_at_tiles(
    detector: &FaceDetector,
    frame: &Frame,
    tiles: &[Tile],
) -> Result<Vec<Vec<Detection>>, DetectError> {
    let side = detector.range().input_side();
    let mut seen = Vec::with_capacity(tiles.len());
    for tiles in tiles.chunks(BATCH) {
        let views = tiles.iter().map(|&tile| View::tile(frame, tile, side));
        seen.extend(detector.look(&views.collect::<Vec<_>>()).await?);
    }
    Ok(seen)
}

/// Faces without doubles.
#[derive(Debug, Default)]
struct Found(Vec<Detection>);

impl Found {
    /// Adds the faces that are not there yet.
    fn take(&mut self, faces: Vec<Detection>) {
        for face in faces {
            if !self.has(&face) {
                self.0.push(face);
            }
        }
    }

    fn has(&self, face: &Detection) -> bool {
        let mut others = self.0.iter();
        others.any(|other| is_same(&face.bounding_box, &other.bounding_box))
    }

    /// Adds the faces that are not there yet, of several views of one face the best one.
    fn take_best(&mut self, mut faces: Vec<Detection>) {
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.take(faces);
    }

    fn sorted(mut self) -> Vec<Detection> {
        self.0.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.0
    }
}

fn is_same(a: &BoundingBox, b: &BoundingBox) -> bool {
    let (overlap, within) = SAME_FACE;
    let iou = a.intersection_over_union(b);
    // Intersection and union add up to both areas.
    let intersection = iou * (a.area() + b.area()) / (1.0 + iou);
    iou > overlap || intersection > within * a.area().min(b.area())
}

/// Shortest side of a box; infinite without one.
fn smallest<'a>(faces: impl IntoIterator<Item = &'a Detection>) -> f32 {
    let boxes = faces.into_iter().map(|face| face.bounding_box);
    boxes.fold(f32::INFINITY, |side, face| {
        side.min(face.width).min(face.height)
    })
}

fn longest_side(frame: &Frame) -> f32 {
    pixels(frame.width().max(frame.height()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::seeded_weights;
    use crate::device::OpenedDevice;
    use affectlens_formats::architecture::Architecture;

    fn face(x: f32, side: f32, score: f32) -> Detection {
        Detection {
            bounding_box: BoundingBox {
                x,
                y: 0.0,
                width: side,
                height: side,
            },
            score,
            keypoints: [[x, 0.0]; 6],
        }
    }

    fn search(has_far: bool) -> FaceSearch {
        let load = |architecture| {
            let weights = seeded_weights(architecture);
            FaceDetector::load(&weights, &OpenedDevice::cpu()).expect("canonical weights")
        };
        let far = has_far.then(|| load(Architecture::BlazeFaceFullRange));
        FaceSearch::new(load(Architecture::BlazeFace), far)
    }

    #[test]
    fn faces_that_overlap_or_lie_within_another_are_taken_once() {
        let mut found = Found::default();
        found.take(vec![face(0.0, 10.0, 0.6), face(100.0, 30.0, 0.9)]);
        found.take_best(vec![
            face(3.0, 10.0, 0.8),
            // A ninth of the area of the one that it lies in.
            face(110.0, 10.0, 0.95),
            face(52.0, 10.0, 0.7),
            face(50.0, 10.0, 0.75),
        ]);
        let scores: Vec<_> = found.sorted().iter().map(|face| face.score).collect();
        assert_eq!(scores, [0.9, 0.75, 0.6]);
    }

    #[test]
    fn the_far_detector_has_its_turn_after_frames_without_a_face_and_stays_for_small_ones() {
        let frame = Frame::from_rgb(100, 50, vec![0; 100 * 50 * 3]).expect("black");
        let mut search = search(true);
        let mut ranges = Vec::new();
        let small = vec![face(0.0, 10.0, 0.9), face(50.0, 40.0, 0.9)];
        let large = vec![face(0.0, 25.0, 0.9)];
        let nothing = |frames| vec![Vec::new(); frames];
        for faces in [nothing(5), vec![small.clone(), small, large], nothing(10)].concat() {
            search.follow(&frame, &faces);
            ranges.push(search.detector().range() == super::super::DetectorRange::Full);
        }
        let far: Vec<_> = (0..ranges.len()).filter(|&index| ranges[index]).collect();
        assert_eq!(far, [4, 5, 6, 12, 13, 14, 15, 16]);
        search.begin_anew();
        assert_eq!(
            search.detector().range(),
            super::super::DetectorRange::Short
        );
    }

    #[test]
    fn one_detector_stays() {
        let frame = Frame::from_rgb(8, 8, vec![0; 8 * 8 * 3]).expect("black");
        let mut search = search(false);
        for _ in 0..20 {
            search.follow(&frame, []);
            assert_eq!(
                search.detector().range(),
                super::super::DetectorRange::Short
            );
        }
    }
}
