//! Whether action units tell labelled expressions apart.

use anyhow::{Result, bail};
use serde::Serialize;

use super::FaceArgs;
use crate::progress::progress;
use affectlens::{
    detect::FaceDetector,
    face::Detection,
    facs::{PROXIES, action_units},
    frame::Frame,
    label::{ActionUnit, Expression},
    landmarks::{BLENDSHAPES_ARCHITECTURE, Blendshapes, FaceMesh, MESH_ARCHITECTURE},
    metrics::area_under_curve,
};
use affectlens_data::{LabelledPictures, picture::read_picture};

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

#[derive(Debug, Serialize)]
struct Report {
    /// Pictures whose face was scored.
    count: usize,
    /// Pictures without one.
    without_face: usize,
    pairs: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct Pair {
    action_unit: String,
    positive: Expression,
    negative: Expression,
    auc: f64,
    positives: usize,
    negatives: usize,
}

struct Networks {
    detector: FaceDetector,
    mesh: FaceMesh,
    blendshapes: Blendshapes,
}

impl Networks {
    fn load(args: &FaceArgs) -> Result<Self> {
        let device = args.device.open()?;
        let weights = &args.weights;
        Ok(Self {
            detector: FaceDetector::load(
                &weights.read(affectlens::detect::ARCHITECTURE)?,
                &device,
            )?,
            mesh: FaceMesh::load(&weights.read(MESH_ARCHITECTURE)?, &device)?,
            blendshapes: Blendshapes::load(&weights.read(BLENDSHAPES_ARCHITECTURE)?)?,
        })
    }

    /// Action units of the largest face.
    fn score(&self, picture: &Frame) -> Result<Option<Vec<(ActionUnit, f32)>>> {
        let Some(face) = self.largest_face(picture)? else {
            return Ok(None);
        };
        let landmarks = pollster::block_on(self.mesh.find(picture, &[face]))?.remove(0);
        Ok(landmarks.map(|face| action_units(&self.blendshapes.scores(&[&face])[0])))
    }

    /// A face that fills its picture may need room around it: where none is found, a wider picture is searched.
    fn largest_face(&self, picture: &Frame) -> Result<Option<Detection>> {
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

pub(super) fn run(args: &FaceArgs, pictures: &LabelledPictures) -> Result<()> {
    let networks = Networks::load(args)?;
    let bar = progress("scoring", "pictures", Some(pictures.len() as u64));
    let mut scored = Vec::new();
    let mut without_face = 0;
    for (path, &label) in pictures.paths.iter().zip(&pictures.labels) {
        match read_picture(path) {
            Ok(picture) => match networks.score(&picture)? {
                Some(units) => scored.push((label, units)),
                None => without_face += 1,
            },
            Err(error) => bar.suspend(|| eprintln!("affectlens: skipped {error}")),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if scored.is_empty() {
        bail!("no face was found in the {} pictures", pictures.len());
    }
    let scores_of = |unit: ActionUnit, label: Expression| -> Vec<f32> {
        let faces = scored.iter().filter(|(of, _)| *of == label);
        let units = faces.flat_map(|(_, units)| units);
        units
            .filter(|(it, _)| *it == unit)
            .map(|(_, score)| *score)
            .collect()
    };
    let pairs = PAIRS.into_iter().filter_map(|(unit, positive)| {
        let (positives, negatives) = (scores_of(unit, positive), scores_of(unit, Neutral));
        Some(Pair {
            action_unit: unit.name(),
            positive,
            negative: Neutral,
            auc: area_under_curve(&positives, &negatives)?,
            positives: positives.len(),
            negatives: negatives.len(),
        })
    });
    let report = Report {
        count: scored.len(),
        without_face,
        pairs: pairs.collect(),
    };
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn print(report: &Report) {
    println!(
        "{} faces, {} pictures without one",
        report.count, report.without_face
    );
    println!("{:>6}  {:<24} {:>6}  faces", "", "", "AUC");
    for pair in &report.pairs {
        let is_proxy = PROXIES.iter().any(|unit| unit.name() == pair.action_unit);
        println!(
            "{:>6}  {:<24} {:>6.4}  {} against {}{}",
            pair.action_unit,
            format!("{} or {}", pair.positive.name(), pair.negative.name()),
            pair.auc,
            pair.positives,
            pair.negatives,
            if is_proxy { " (proxy)" } else { "" }
        );
    }
}
