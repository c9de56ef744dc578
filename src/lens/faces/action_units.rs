//! Action units of faces: from a head's scores, or from the blendshapes of the face's mesh.

use super::{FaceScores, FaceWeights};
use crate::{
    calibration::{ActionUnitScore, ActionUnitSettings, sigmoid},
    device::OpenedDevice,
    error::LensError,
    face::{BoundingBox, Detection, Landmarks},
    facs,
    frame::Frame,
    label::{ActionUnit, BLENDSHAPES},
    landmarks::{Blendshapes, FaceMesh},
    report::{ActionUnitOrigin, ActionUnitSource},
    role::Role,
    task::{Task, Tasks},
};

/// Gives action units where that task was asked for, and finds the mesh where it is wanted.
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

impl ActionUnitReader {
    /// `head` holds the settings of the head that the classifier runs, if there is one.
    pub(super) fn load(
        weights: &FaceWeights,
        tasks: Tasks,
        head: Option<&ActionUnitSettings>,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let mesh = weights
            .mesh
            .as_ref()
            .map(|weights| FaceMesh::load(weights, device))
            .transpose()
            .map_err(LensError::weights(Role::Mesh))?;
        let model = match (
            tasks.contains(Task::ActionUnits),
            head,
            &weights.blendshapes,
        ) {
            (false, ..) => Model::Off,
            (true, Some(settings), _) => Model::Head(settings.clone()),
            (true, None, Some(blendshapes)) if mesh.is_some() => {
                let network = Blendshapes::load(blendshapes)
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

    /// Completes the scores of the faces in a frame; gives the mesh of each where it was looked for and found.
    pub(super) async fn read(
        &self,
        frame: &Frame,
        faces: &[Detection],
        scores: &mut [FaceScores],
        wants_mesh: bool,
    ) -> Result<Vec<Option<Landmarks>>, LensError> {
        let mesh = self
            .mesh
            .as_ref()
            .filter(|_| wants_mesh || matches!(self.model, Model::Blendshapes(_)));
        let Some(mesh) = mesh else {
            return Ok(vec![None; faces.len()]);
        };
        let found = mesh.find(frame, faces).await?;
        if let Model::Blendshapes(blendshapes) = &self.model {
            let present: Vec<&Landmarks> = found.iter().flatten().collect();
            let mut rows = blendshapes.scores(&present).into_iter();
            for (landmarks, scores) in found.iter().zip(scores) {
                let row = landmarks.as_ref().and_then(|_| rows.next());
                scores.action_units = row.map(|row| {
                    let units = facs::action_units(&row);
                    units.into_iter().map(|(_, strength)| strength).collect()
                });
            }
        }
        Ok(found)
    }

    /// A smoothed row as strengths in `[0, 1]`.
    pub(super) fn strengths(&self, row: &[f32]) -> Vec<(ActionUnit, f32)> {
        let strength = |score: f32| match &self.model {
            Model::Head(settings) if settings.score == ActionUnitScore::Logit => sigmoid(score),
            _ => score,
        };
        let units = self.units.iter().copied();
        units
            .zip(row.iter().map(|score| strength(*score)))
            .collect()
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
