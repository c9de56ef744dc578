//! Whether action units distinguish labelled expressions from neutral faces.

use anyhow::Result;

use super::FaceArgs;
use crate::progress::Terminal;
use affectlens::{
    detect::{self, FaceDetector},
    facs::PROXIES,
    landmarks::{BLENDSHAPES_ARCHITECTURE, Blendshapes, FaceMesh, MESH_ARCHITECTURE},
};
use affectlens_data::{ActionUnitPairs, BlendshapeUnits, LabelledPictures, score_action_units};

/// Scores blendshapes on pictures and prints the result.
pub(super) fn run(args: &FaceArgs, pictures: &LabelledPictures) -> Result<()> {
    let networks = load(args)?;
    let report = score_action_units(&networks, pictures, &Terminal::default())?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

fn load(args: &FaceArgs) -> Result<BlendshapeUnits> {
    let device = args.device.open()?;
    let installed = args.weights.installed();
    Ok(BlendshapeUnits {
        detector: FaceDetector::load(&installed.read(detect::ARCHITECTURE)?, &device)?,
        mesh: FaceMesh::load(&installed.read(MESH_ARCHITECTURE)?, &device)?,
        blendshapes: Blendshapes::load(&installed.read(BLENDSHAPES_ARCHITECTURE)?)?,
    })
}

fn print(report: &ActionUnitPairs) {
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
