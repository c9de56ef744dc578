//! One face from the many anchors that see it.

use crate::face::{BoundingBox, Detection};

/// Boxes that overlap more than this see the same face.
pub(super) const SAME_FACE_OVERLAP: f32 = 0.3;

/// Blends candidates that see the same face, best score first.
///
/// MediaPipe's weighted non-maximum suppression: the best candidate left gathers those that overlap it more
/// than `overlap`; their boxes and keypoints are averaged with their scores as weights, the best score stays.
/// Blending instead of dropping is what keeps the box from trembling between frames.
pub(crate) fn suppress<const KEYPOINTS: usize>(
    mut candidates: Vec<Detection<KEYPOINTS>>,
    overlap: f32,
) -> Vec<Detection<KEYPOINTS>> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut faces = Vec::new();
    while let Some(best) = candidates.first().cloned() {
        let (same, others): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .enumerate()
            // The first is the best itself, also where its box is empty and overlaps nothing.
            .partition(|(index, candidate)| {
                *index == 0
                    || best
                        .bounding_box
                        .intersection_over_union(&candidate.bounding_box)
                        > overlap
            });
        let same: Vec<_> = same.into_iter().map(|(_, candidate)| candidate).collect();
        faces.push(blend(&same, best.score));
        candidates = others.into_iter().map(|(_, candidate)| candidate).collect();
    }
    faces
}

fn blend<const KEYPOINTS: usize>(
    same: &[Detection<KEYPOINTS>],
    score: f32,
) -> Detection<KEYPOINTS> {
    let total: f32 = same.iter().map(|detection| detection.score).sum();
    let mean = |value: &dyn Fn(&Detection<KEYPOINTS>) -> f32| {
        same.iter()
            .map(|detection| detection.score * value(detection))
            .sum::<f32>()
            / total
    };
    let mut blended = same[0].clone();
    if same.len() > 1 && total > 0.0 {
        blended.bounding_box = BoundingBox {
            x: mean(&|detection| detection.bounding_box.x),
            y: mean(&|detection| detection.bounding_box.y),
            width: mean(&|detection| detection.bounding_box.width),
            height: mean(&|detection| detection.bounding_box.height),
        };
        for (index, point) in blended.keypoints.iter_mut().enumerate() {
            *point = [
                mean(&|detection| detection.keypoints[index][0]),
                mean(&|detection| detection.keypoints[index][1]),
            ];
        }
    }
    blended.score = score;
    blended
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the oracle sums in f64")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn detection(x: f32, y: f32, side: f32, score: f32) -> Detection {
        let bounding_box = BoundingBox {
            x,
            y,
            width: side,
            height: side,
        };
        Detection {
            bounding_box,
            score,
            keypoints: [[x + side / 2.0, y]; 6],
        }
    }

    #[test]
    fn overlapping_boxes_blend_by_score() {
        let faces = suppress(
            vec![
                detection(0.0, 0.0, 10.0, 0.6),
                detection(2.0, 0.0, 10.0, 0.9),
            ],
            0.3,
        );
        assert_eq!(faces.len(), 1);
        assert_eq!(faces[0].score, 0.9);
        assert!((faces[0].bounding_box.x - 1.2).abs() < 1e-6);
        assert!((faces[0].keypoints[3][0] - 6.2).abs() < 1e-6);
    }

    #[test]
    fn separate_faces_stay_separate_and_sorted() {
        let faces = suppress(
            vec![
                detection(0.0, 0.0, 10.0, 0.6),
                detection(50.0, 0.0, 10.0, 0.9),
            ],
            0.3,
        );
        assert_eq!(
            faces.iter().map(|face| face.score).collect::<Vec<_>>(),
            [0.9, 0.6]
        );
        assert_eq!(faces[1], detection(0.0, 0.0, 10.0, 0.6));
    }

    #[test]
    fn empty_boxes_do_not_hang() {
        let faces = suppress(
            vec![
                detection(0.0, 0.0, 0.0, 0.6),
                detection(0.0, 0.0, -1.0, 0.7),
            ],
            0.3,
        );
        assert_eq!(faces.len(), 2);
    }

    /// Said the other way round: each candidate, best first, joins the first earlier leader that it overlaps.
    fn oracle(candidates: &[Detection], overlap: f32) -> Vec<(BoundingBox, f32)> {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| candidates[b].score.total_cmp(&candidates[a].score));
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for index in order {
            let joined = groups.iter_mut().find(|group| {
                let leader = &candidates[group[0]].bounding_box;
                leader.intersection_over_union(&candidates[index].bounding_box) > overlap
            });
            match joined {
                Some(group) => group.push(index),
                None => groups.push(vec![index]),
            }
        }
        let weigh = |group: &[usize], value: fn(&BoundingBox) -> f32| {
            let sum = |f: &dyn Fn(&Detection) -> f64| {
                group
                    .iter()
                    .map(|&index| f(&candidates[index]))
                    .sum::<f64>()
            };
            let weighted = sum(&|candidate| {
                f64::from(candidate.score) * f64::from(value(&candidate.bounding_box))
            });
            (weighted / sum(&|candidate| f64::from(candidate.score))) as f32
        };
        groups
            .iter()
            .map(|group| {
                let blended = BoundingBox {
                    x: weigh(group, |b| b.x),
                    y: weigh(group, |b| b.y),
                    width: weigh(group, |b| b.width),
                    height: weigh(group, |b| b.height),
                };
                (blended, candidates[group[0]].score)
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_set_of_candidates_blends_as_the_oracle_says(
            rows in prop::collection::vec((0.0_f32..100.0, 0.0_f32..100.0, 5.0_f32..60.0, 0.5_f32..1.0), 0..40),
        ) {
            let candidates: Vec<_> = rows.into_iter().map(|(x, y, side, score)| detection(x, y, side, score)).collect();
            let expected = oracle(&candidates, SAME_FACE_OVERLAP);
            let faces = suppress(candidates, SAME_FACE_OVERLAP);
            prop_assert_eq!(faces.len(), expected.len());
            for (face, (bounding_box, score)) in faces.iter().zip(expected) {
                prop_assert_eq!(face.score, score);
                prop_assert!((face.bounding_box.x - bounding_box.x).abs() < 1e-3);
                prop_assert!((face.bounding_box.y - bounding_box.y).abs() < 1e-3);
                prop_assert!((face.bounding_box.width - bounding_box.width).abs() < 1e-3);
                prop_assert!((face.bounding_box.height - bounding_box.height).abs() < 1e-3);
            }
        }
    }
}
