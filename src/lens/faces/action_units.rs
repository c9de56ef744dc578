//! The mesh of faces: whether there is a face, and its action units, where they do not come from a head's scores.

use super::scored_face::{MOST_TOGETHER, ScoredFace};
use crate::{
    calibration::{ActionUnitScore, ActionUnitSettings, sigmoid},
    crop::crop_on_black,
    detect::FaceDetector,
    device::OpenedDevice,
    error::LensError,
    face::{BoundingBox, Detection, RotatedBox},
    facs,
    frame::Frame,
    label::{ActionUnit, BLENDSHAPES},
    landmarks::{Blendshapes, FaceMesh},
    report::{ActionUnitOrigin, ActionUnitSource},
    role::Role,
    task::{Task, Tasks},
    weights::Weights,
};

/// Score of a detection from which it is a face without a look, or on the second one: glowing letters and clouds reach .67.
const SURE: f32 = 0.7;
/// Sides of the region of the detector's second look, in those of the box that it found.
const AROUND: f32 = 2.0;
/// Pixels of that region.
const AROUND_SIDE: u32 = 128;
/// Presence on the second look of the mesh from which a face is one: what looks like one on the first reaches .54.
const CONFIRMED: f32 = 0.55;

/// Looks at faces with the mesh, and gives action units where that task was asked for.
#[derive(Debug)]
pub(super) struct ActionUnitReader {
    model: Model,
    /// Units of a row.
    units: Vec<ActionUnit>,
    mesh: Option<FaceMesh>,
}

#[derive(Debug)]
enum Model {
    Off,
    Head(ActionUnitSettings),
    Blendshapes(Box<Blendshapes>),
}

/// The logit of a probability; that of 0 and 1 stays finite.
fn logit(probability: f32) -> f32 {
    let probability = probability.clamp(1e-6, 1.0 - 1e-6);
    (probability / (1.0 - probability)).ln()
}

impl ActionUnitReader {
    /// `head` holds the settings of the head that the classifier runs, if there is one.
    pub(super) fn load(
        mesh: Option<Weights>,
        blendshapes: Option<Weights>,
        tasks: Tasks,
        head: Option<&ActionUnitSettings>,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        // A look once a second is not worth a GPU's kernels, nor a second read-back.
        let on_cpu = device.has_gpu() && !tasks.contains(Task::ActionUnits);
        let mesh_device = if on_cpu { &OpenedDevice::cpu() } else { device };
        let mesh = mesh
            .map(|weights| FaceMesh::load(weights, mesh_device))
            .transpose()
            .map_err(LensError::weights(Role::Mesh))?;
        let model = match (tasks.contains(Task::ActionUnits), head, blendshapes) {
            (false, ..) => Model::Off,
            (true, Some(settings), _) => Model::Head(settings.clone()),
            (true, None, Some(blendshapes)) if mesh.is_some() => {
                let network = Blendshapes::load(blendshapes, device)
                    .map_err(LensError::weights(Role::Blendshapes))?;
                Model::Blendshapes(Box::new(network))
            }
            (true, None, _) => return Err(LensError::NoActionUnits),
        };
        let units = match &model {
            Model::Off => Vec::new(),
            Model::Head(settings) => settings.units.clone(),
            Model::Blendshapes(_) => facs::action_units(&[0.0; BLENDSHAPES.len()])
                .into_iter()
                .map(|(unit, _)| unit)
                .collect(),
        };
        Ok(Self { model, units, mesh })
    }

    /// Units of a row, in order.
    pub(super) fn units(&self) -> &[ActionUnit] {
        &self.units
    }

    /// Compiles the mesh's kernels: a blank frame has no faces to look at.
    pub(super) async fn warm_up(&self, blank: &Frame) -> Result<(), LensError> {
        if let Some(mesh) = &self.mesh {
            let (width, height) = (blank.width() as f32, blank.height() as f32);
            let bounding_box = BoundingBox {
                width,
                height,
                ..BoundingBox::default()
            };
            let face = Detection {
                bounding_box,
                score: 1.0,
                keypoints: [
                    [0.0; 2],
                    [width, 0.0],
                    [0.0; 2],
                    [0.0; 2],
                    [0.0; 2],
                    [0.0; 2],
                ],
            };
            mesh.find(blank, &[face]).await?;
        }
        Ok(())
    }

    /// Looks at the faces of a frame that are due, and at all of them that it has not seen yet if the mesh is wanted or
    /// action units come from it; completes their scores. Without a mesh every look shows a face.
    pub(super) async fn look(
        &self,
        detector: &FaceDetector,
        frame: &Frame,
        faces: &mut [ScoredFace],
        due: &[bool],
        wants_mesh: bool,
    ) -> Result<(), LensError> {
        let Some(mesh) = &self.mesh else {
            faces.iter_mut().for_each(|face| face.look = Some(true));
            return Ok(());
        };
        confirm(detector, mesh, frame, faces, due).await?;
        if self.follower(wants_mesh).is_none() {
            return Ok(());
        }
        let mut unseen: Vec<_> = faces
            .iter_mut()
            .filter(|face| face.landmarks.is_none())
            .collect();
        for together in unseen.chunks_mut(MOST_TOGETHER) {
            let detections: Vec<_> = together.iter().map(|face| face.detection.clone()).collect();
            let found = mesh.find(frame, &detections).await?;
            for (face, landmarks) in together.iter_mut().zip(found) {
                face.landmarks = landmarks;
            }
        }
        if let Model::Blendshapes(blendshapes) = &self.model {
            let (present, scores): (Vec<_>, Vec<_>) = faces
                .iter_mut()
                .filter_map(|face| Some((face.landmarks.as_ref()?, &mut face.scores)))
                .unzip();
            let rows = blendshapes.scores(&present);
            for (scores, row) in scores.into_iter().zip(rows) {
                let units = facs::action_units(&row).into_iter();
                scores.action_units = Some(units.map(|(_, strength)| strength).collect());
            }
        }
        Ok(())
    }

    /// The mesh, where it looks at every face of every frame: it can follow them.
    pub(super) fn follower(&self, wants_mesh: bool) -> Option<&FaceMesh> {
        let is_read = wants_mesh || matches!(self.model, Model::Blendshapes(_));
        self.mesh.as_ref().filter(|_| is_read)
    }

    /// A smoothed row as strengths in `[0, 1]`.
    pub(super) fn strengths(&self, row: &[f32]) -> Vec<(ActionUnit, f32)> {
        let units = self.units.iter().copied();
        units.zip(self.to_strengths(row)).collect()
    }

    /// Scores as strengths in `[0, 1]`.
    pub(super) fn to_strengths(&self, scores: &[f32]) -> Vec<f32> {
        let scores = scores.iter().copied();
        match self.has_logits() {
            true => scores.map(sigmoid).collect(),
            false => scores.collect(),
        }
    }

    /// Strengths as scores: the way back.
    pub(super) fn to_scores(&self, strengths: &[f32]) -> Vec<f32> {
        let strengths = strengths.iter().copied();
        match self.has_logits() {
            true => strengths.map(logit).collect(),
            false => strengths.collect(),
        }
    }

    fn has_logits(&self) -> bool {
        matches!(&self.model, Model::Head(settings) if settings.score == ActionUnitScore::Logit)
    }

    /// Where a smoothed row comes from, and what a head decides on it.
    pub(super) fn origin(&self, row: &[f32]) -> ActionUnitOrigin {
        match &self.model {
            Model::Head(settings) => {
                let present = settings.units.iter().zip(settings.present(row));
                let present = present.filter_map(|(unit, present)| present.then_some(*unit));
                ActionUnitOrigin {
                    source: ActionUnitSource::Head,
                    proxies: &[],
                    present: Some(present.collect()),
                }
            }
            Model::Off | Model::Blendshapes(_) => ActionUnitOrigin {
                source: ActionUnitSource::Blendshapes,
                proxies: &facs::PROXIES,
                present: None,
            },
        }
    }
}

/// Looks at the faces that are due: those that the detector is sure of, at once or on a closer look, are faces; of others the
/// mesh decides.
async fn confirm(
    detector: &FaceDetector,
    mesh: &FaceMesh,
    frame: &Frame,
    faces: &mut [ScoredFace],
    due: &[bool],
) -> Result<(), LensError> {
    let mut doubtful = Vec::new();
    for (face, is_due) in faces.iter_mut().zip(due) {
        face.look = is_due.then_some(true);
        if *is_due && !is_sure(detector, frame, &face.detection).await? {
            doubtful.push(face);
        }
    }
    for together in doubtful.chunks_mut(MOST_TOGETHER) {
        let detections: Vec<_> = together.iter().map(|face| face.detection.clone()).collect();
        let presence = mesh.presence(frame, &detections).await?;
        for (face, presence) in together.iter_mut().zip(presence) {
            face.look = Some(presence >= CONFIRMED);
        }
    }
    Ok(())
}

/// Whether the detector is sure of a face, or would be if it filled more of its picture and stood upright: a turned face, or
/// one at the border, then gains what letters do not.
async fn is_sure(
    detector: &FaceDetector,
    frame: &Frame,
    face: &Detection,
) -> Result<bool, LensError> {
    if face.score >= SURE {
        return Ok(true);
    }
    let BoundingBox {
        x,
        y,
        width,
        height,
    } = face.bounding_box;
    let side = width.max(height) * AROUND;
    let region = RotatedBox {
        centre: [x + width / 2.0, y + height / 2.0],
        width: side,
        height: side,
        roll: face.roll(),
    };
    // A box without area is left to the mesh, which sees nothing in it.
    let Ok(around) = crop_on_black(frame, &region, AROUND_SIDE, AROUND_SIDE) else {
        return Ok(false);
    };
    let middle = AROUND_SIDE as f32 / 2.0;
    let found = detector.detect(&around).await?;
    Ok(found.iter().any(|other| {
        let BoundingBox {
            x,
            y,
            width,
            height,
        } = other.bounding_box;
        let is_in_the_middle =
            (x..x + width).contains(&middle) && (y..y + height).contains(&middle);
        other.score >= SURE && is_in_the_middle
    }))
}
