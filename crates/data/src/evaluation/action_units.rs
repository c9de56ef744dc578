//! Whether the action units of blendshapes distinguish labelled expressions from neutral faces.

use serde::Serialize;

use super::EvaluationError;
use crate::{LabelledPictures, Observer, picture::read_picture};
use affectlens::{
    detect::FaceDetector,
    face::Detection,
    facs::action_units,
    frame::Frame,
    label::{ActionUnit, Expression},
    landmarks::{Blendshapes, FaceMesh},
    metrics::area_under_curve,
};

use ActionUnit::{Au1, Au2, Au4, Au5, Au6, Au10, Au12, Au15, Au24, Au25, Au26};
use Expression::{Anger, Disgust, Happiness, Neutral, Sadness, Surprise};

/// Action units and the expressions whose faces should show them (Ekman, Friesen: EMFACS), against neutral ones.
const PAIRS: [(ActionUnit, Expression); 13] = [
    (Au12, Happiness),
    (Au26, Surprise),
    (Au6, Happiness),
    (Au4, Anger),
    (Au24, Anger),
    (Au10, Disgust),
    (Au1, Sadness),
    (Au15, Sadness),
    (Au1, Surprise),
    (Au2, Surprise),
    (Au5, Surprise),
    (Au25, Surprise),
    (Au25, Happiness),
];

/// How well action units distinguish expressions from neutral faces.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActionUnitPairs {
    /// Pictures whose face was scored.
    pub count: usize,
    /// Pictures without a face.
    pub without_face: usize,
    /// The pairs that occur.
    pub pairs: Vec<ActionUnitPair>,
}

/// One action unit and one expression.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActionUnitPair {
    /// Name of the unit.
    pub action_unit: String,
    /// The expression that should show it.
    pub positive: Expression,
    /// The expression that should not.
    pub negative: Expression,
    /// Area under the curve.
    pub auc: f64,
    /// Faces with the expression.
    pub positives: usize,
    /// Faces with the other one.
    pub negatives: usize,
}

/// The networks that lead from a picture to the action units of its largest face.
#[derive(Debug)]
pub struct BlendshapeUnits {
    /// Finds the face.
    pub detector: FaceDetector,
    /// Finds the points of the face.
    pub mesh: FaceMesh,
    /// Turns points into blendshapes.
    pub blendshapes: Blendshapes,
}

impl BlendshapeUnits {
    /// Action units of the largest face; `None` without one.
    fn score(&self, picture: &Frame) -> Result<Option<Vec<(ActionUnit, f32)>>, EvaluationError> {
        let Some(face) = self.largest_face(picture)? else {
            return Ok(None);
        };
        let landmarks = pollster::block_on(self.mesh.find(picture, &[face]))?.remove(0);
        Ok(landmarks.map(|face| action_units(&self.blendshapes.scores(&[&face])[0])))
    }

    /// A face that fills its picture may need room around it: where none is found, a wider picture is searched.
    fn largest_face(&self, picture: &Frame) -> Result<Option<Detection>, EvaluationError> {
        for margin in [0, picture.width().max(picture.height()) / 2] {
            let faces = pollster::block_on(self.detector.detect(&with_margin(picture, margin)))?;
            let area = |face: &Detection| face.bounding_box.area();
            let largest = faces.into_iter().max_by(|a, b| area(a).total_cmp(&area(b)));
            if let Some(mut face) = largest {
                let margin = margin as f32;
                face.bounding_box.x -= margin;
                face.bounding_box.y -= margin;
                face.keypoints = face.keypoints.map(|[x, y]| [x - margin, y - margin]);
                return Ok(Some(face));
            }
        }
        Ok(None)
    }
}

/// The picture with a black margin, pixels, on every side.
fn with_margin(picture: &Frame, margin: u32) -> Frame {
    let (width, height) = (picture.width() + 2 * margin, picture.height() + 2 * margin);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let row_bytes = picture.width() as usize * 3;
    let rows = pixels.chunks_exact_mut(width as usize * 3);
    for (to, from) in rows
        .skip(margin as usize)
        .zip(picture.pixels().chunks_exact(row_bytes))
    {
        to[margin as usize * 3..][..row_bytes].copy_from_slice(from);
    }
    Frame::from_rgb(width, height, pixels).expect("the picture was made in this size")
}

/// Scores the largest face of each picture; pictures that cannot be read are complaints.
///
/// # Errors
///
/// [`EvaluationError`] if the device fails, or no picture shows a face.
pub fn score_action_units(
    networks: &BlendshapeUnits,
    pictures: &LabelledPictures,
    observer: &dyn Observer,
) -> Result<ActionUnitPairs, EvaluationError> {
    observer.begin("scoring", "pictures", Some(pictures.len() as u64));
    let mut scored = Vec::new();
    let mut without_face = 0;
    for (done, (path, &label)) in (1..).zip(pictures.paths.iter().zip(&pictures.labels)) {
        match read_picture(path) {
            Ok(picture) => match networks.score(&picture)? {
                Some(units) => scored.push((label, units)),
                None => without_face += 1,
            },
            Err(error) => observer.complain(&format_args!("skipped {error}")),
        }
        observer.reach(done);
    }
    observer.end();
    if scored.is_empty() {
        return Err(EvaluationError::NoFaces {
            count: pictures.len(),
        });
    }
    Ok(ActionUnitPairs {
        count: scored.len(),
        without_face,
        pairs: pairs(&scored),
    })
}

fn pairs(scored: &[(Expression, Vec<(ActionUnit, f32)>)]) -> Vec<ActionUnitPair> {
    let scores = |unit: ActionUnit, label: Expression| -> Vec<f32> {
        let faces = scored.iter().filter(|(other, _)| *other == label);
        let units = faces.flat_map(|(_, units)| units);
        units
            .filter(|(other, _)| *other == unit)
            .map(|(_, score)| *score)
            .collect()
    };
    let pair = |(unit, positive): (ActionUnit, Expression)| {
        let (positives, negatives) = (scores(unit, positive), scores(unit, Neutral));
        Some(ActionUnitPair {
            action_unit: unit.name(),
            positive,
            negative: Neutral,
            auc: area_under_curve(&positives, &negatives)?,
            positives: positives.len(),
            negatives: negatives.len(),
        })
    };
    PAIRS.into_iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_do_not_occur_are_left_out() {
        let face = |label, strength| (label, vec![(Au12, strength)]);
        let scored = [face(Happiness, 0.9), face(Neutral, 0.1), face(Anger, 0.5)];
        let pairs = pairs(&scored);
        assert_eq!(pairs.len(), 1, "{pairs:?}");
        assert_eq!((pairs[0].positive, pairs[0].positives), (Happiness, 1));
        assert!((pairs[0].auc - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn margins_are_black() {
        let picture = Frame::from_rgb(1, 1, vec![1, 2, 3]).expect("one pixel");
        let wider = with_margin(&picture, 1);
        assert_eq!((wider.width(), wider.height()), (3, 3));
        assert_eq!(wider.pixels()[12..15], [1, 2, 3]);
        assert_eq!(
            wider.pixels().iter().map(|it| u32::from(*it)).sum::<u32>(),
            6
        );
    }
}
