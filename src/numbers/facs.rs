//! Action units of the Facial Action Coding System (FACS) from blendshape scores.
//!
//! ARKit's blendshapes are named after facial movements, and most correspond to one action unit (Ekman, Friesen, Hager
//! 2002). The scores were never calibrated against human coders: they rank faces by how much they show an action unit,
//! but have no threshold from which a coder would mark it.

use crate::label::{ActionUnit, BLENDSHAPES};

/// Action units estimated from others with which they occur.
///
/// The network's own cheek squint is always zero, so a raised cheek (AU6) is estimated from a smile with narrowed eyes.
pub const PROXIES: [ActionUnit; 1] = [ActionUnit::Au6];

/// Estimates action units from blendshapes; each score is in `[0, 1]`, units ascend by number.
///
/// `blendshapes` are in the order of [`BLENDSHAPES`]. Left and right are averaged: an action unit on one side counts
/// half. AU9 and AU23 have no matching blendshape and are left out.
pub fn action_units(blendshapes: &[f32; BLENDSHAPES.len()]) -> Vec<(ActionUnit, f32)> {
    let one = |name: &str| {
        let index = BLENDSHAPES.iter().position(|known| *known == name);
        let score = blendshapes[index.expect("a name of the table")];
        if score.is_nan() {
            0.0
        } else {
            score.clamp(0.0, 1.0)
        }
    };
    let both = |stem: &str| (one(&format!("{stem}Left")) + one(&format!("{stem}Right"))) / 2.0;
    let smile = both("mouthSmile");
    let squint = both("eyeSquint");
    let jaw = one("jawOpen");
    vec![
        (ActionUnit::Au1, one("browInnerUp")),
        (ActionUnit::Au2, both("browOuterUp")),
        (ActionUnit::Au4, both("browDown")),
        (ActionUnit::Au5, both("eyeWide")),
        (ActionUnit::Au6, smile * squint),
        (ActionUnit::Au7, squint),
        (ActionUnit::Au10, both("mouthUpperUp")),
        (ActionUnit::Au12, smile),
        (ActionUnit::Au14, both("mouthDimple")),
        (ActionUnit::Au15, both("mouthFrown")),
        (ActionUnit::Au17, one("mouthShrugLower")),
        (ActionUnit::Au20, both("mouthStretch")),
        (ActionUnit::Au24, both("mouthPress")),
        // Lips part when the lower lip drops or the jaw opens.
        (ActionUnit::Au25, both("mouthLowerDown").max(jaw)),
        (ActionUnit::Au26, jaw),
        (
            ActionUnit::Au28,
            (one("mouthRollLower") + one("mouthRollUpper")) / 2.0,
        ),
        (ActionUnit::Au45, both("eyeBlink")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blendshapes(scores: &[(&str, f32)]) -> [f32; BLENDSHAPES.len()] {
        let mut blendshapes = [0.0; BLENDSHAPES.len()];
        for (name, score) in scores {
            let index = BLENDSHAPES.iter().position(|known| known == name);
            blendshapes[index.expect("a name of the table")] = *score;
        }
        blendshapes
    }

    fn active(scores: &[(&str, f32)]) -> Vec<(u8, f32)> {
        action_units(&blendshapes(scores))
            .into_iter()
            .filter(|(_, score)| *score > 0.0)
            .map(|(unit, score)| (unit.number(), score))
            .collect()
    }

    #[test]
    fn a_smile_that_reaches_the_eyes_raises_the_cheeks() {
        assert_eq!(
            active(&[("mouthSmileLeft", 1.0), ("mouthSmileRight", 0.5)]),
            [(12, 0.75)]
        );
        let eyes = [("eyeSquintLeft", 0.5), ("eyeSquintRight", 0.5)];
        assert_eq!(active(&eyes), [(7, 0.5)]);
        let smile = [("mouthSmileLeft", 1.0), ("mouthSmileRight", 0.5)];
        assert_eq!(
            active(&[smile, eyes].concat()),
            [(6, 0.375), (7, 0.5), (12, 0.75)]
        );
    }

    #[test]
    fn an_open_jaw_parts_the_lips() {
        assert_eq!(active(&[("jawOpen", 0.8)]), [(25, 0.8), (26, 0.8)]);
        assert_eq!(active(&[("mouthLowerDownLeft", 0.6)]), [(25, 0.3)]);
        assert_eq!(active(&[("mouthRollUpper", 0.4)]), [(28, 0.2)]);
    }

    #[test]
    fn units_ascend_and_stay_in_range() {
        for score in [f32::NAN, -3.0, 0.5, 7.0] {
            let units = action_units(&[score; BLENDSHAPES.len()]);
            assert!(units.is_sorted_by(|(a, _), (b, _)| a < b));
            assert!(units.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
            let absent = ActionUnit::ALL
                .iter()
                .filter(|unit| units.iter().all(|(reported, _)| reported != *unit));
            assert_eq!(absent.collect::<Vec<_>>(), [&ActionUnit::Au23]);
        }
    }
}
