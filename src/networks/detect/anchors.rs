//! From the network's numbers to candidate faces.

use super::blazeface::{ANCHOR_VALUES, DetectorRange};
use crate::face::{BoundingBox, Detection};

/// Logits are cut here, as MediaPipe does: the score does not change any more.
pub(super) const LOGIT_LIMIT: f32 = 100.0;

/// Numbers of an anchor's box: left, top, width, height. Keypoints follow, then the score.
pub(super) const BOX_VALUES: usize = 4;
/// Keypoints of an anchor.
pub(super) const KEYPOINTS: usize = (ANCHOR_VALUES - 1 - BOX_VALUES) / 2;

/// Centres of the anchors in input pixels, in the network's order. Every anchor is as large as the input.
pub(super) fn anchor_centres(range: DetectorRange) -> Vec<[f32; 2]> {
    centres_of(range.input_side(), &range.grids())
}

/// Centres of the anchors of grids in a square of that side: cells along each side, cells along each side of a patch that is
/// gone through before the next one, anchors in each cell.
pub(crate) fn centres_of(side: u32, grids: &[[usize; 3]]) -> Vec<[f32; 2]> {
    let mut centres = Vec::new();
    for &[cells, patch, anchors] in grids {
        let cell = number(side as usize) / number(cells);
        for index in 0..cells * cells {
            let (patches, within) = (index / (patch * patch), index % (patch * patch));
            let (across, down) = (patches % (cells / patch), patches / (cells / patch));
            let place = [
                across * patch + within % patch,
                down * patch + within / patch,
            ];
            let centre = place.map(|place| (number(place) + 0.5) * cell);
            centres.extend(std::iter::repeat_n(centre, anchors));
        }
    }
    centres
}

/// Candidates with at least this score, in input pixels, in the order of the anchors.
///
/// `values` are those of one picture, as [`plan`](super::plan) gives them.
pub(super) fn decode(range: DetectorRange, values: &[f32], threshold: f32) -> Vec<Detection> {
    let step = range.layout().box_step;
    let boxes = values.chunks(step);
    boxes
        .zip(logits(range, values))
        .zip(anchor_centres(range))
        .filter_map(|((places, logit), centre)| {
            let places = places.get(..ANCHOR_VALUES - 1)?;
            decode_anchor(places, logit, centre, threshold)
        })
        .collect()
}

/// Logits of the scores of all anchors, of the numbers of one picture.
pub(super) fn logits(range: DetectorRange, values: &[f32]) -> impl ExactSizeIterator<Item = f32> {
    let layout = range.layout();
    let scores = values.get(layout.score_start..).unwrap_or_default();
    scores.iter().copied().step_by(layout.score_step)
}

/// What an anchor sees, in input pixels, with at least that score; `places` are centre x, centre y, width, height and the key
/// points x, y, all but the size relative to the anchor's centre.
pub(crate) fn decode_anchor<const KEYPOINTS: usize>(
    places: &[f32],
    logit: f32,
    centre: [f32; 2],
    threshold: f32,
) -> Option<Detection<KEYPOINTS>> {
    let score = 1.0 / (1.0 + (-logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)).exp());
    if score.is_nan() || score < threshold || !places.iter().all(|value| value.is_finite()) {
        return None;
    }
    let (place, points) = places.split_at(BOX_VALUES);
    let (width, height) = (place[2], place[3]);
    let bounding_box = BoundingBox {
        x: place[0] + centre[0] - width / 2.0,
        y: place[1] + centre[1] - height / 2.0,
        width,
        height,
    };
    let keypoints = std::array::from_fn(|point| {
        [
            points[2 * point] + centre[0],
            points[2 * point + 1] + centre[1],
        ]
    });
    Some(Detection {
        bounding_box,
        score,
        keypoints,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "cells and pixels of a small square"
)]
fn number(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_cover_both_grids() {
        let centres = anchor_centres(DetectorRange::Short);
        assert_eq!(centres.len(), 896);
        assert_eq!(centres[..3], [[4.0, 4.0], [4.0, 4.0], [12.0, 4.0]]);
        assert_eq!(centres[511], [124.0, 124.0]);
        assert_eq!(
            centres[512..519],
            [[8.0, 8.0]; 6]
                .into_iter()
                .chain([[24.0, 8.0]])
                .collect::<Vec<_>>()[..]
        );
        assert_eq!(centres[895], [120.0, 120.0]);
    }

    #[test]
    fn anchors_of_the_full_range_run_over_patches_of_cells() {
        let centres = anchor_centres(DetectorRange::Full);
        assert_eq!(centres.len(), 2304);
        assert_eq!(
            centres[..5],
            [[2.0, 2.0], [6.0, 2.0], [2.0, 6.0], [6.0, 6.0], [10.0, 2.0]]
        );
        assert_eq!(centres[95], [190.0, 6.0]);
        assert_eq!(centres[96], [2.0, 10.0]);
        assert_eq!(centres[2303], [190.0, 190.0]);
    }

    #[test]
    fn values_of_the_full_range_stand_before_all_logits() {
        let range = DetectorRange::Full;
        let mut values = vec![0.0; 2304 * ANCHOR_VALUES];
        values[2304 * 16..].fill(-1000.0);
        values[2304 * 16 + 4] = 2.0;
        for (index, value) in values[4 * 16..5 * 16].iter_mut().enumerate() {
            *value = index as f32;
        }
        let found = decode(range, &values, 0.6);
        assert_eq!(found.len(), 1);
        let BoundingBox { x, width, .. } = found[0].bounding_box;
        assert_eq!((x, width), (9.0, 2.0));
        assert_eq!(found[0].keypoints[5], [24.0, 17.0]);
        assert!((found[0].score - 0.880_797).abs() < 1e-6);
        assert!(decode(range, &values[..10], 0.6).is_empty());
    }

    #[test]
    fn values_are_read_relative_to_the_anchor() {
        let mut values = vec![0.0; 896 * ANCHOR_VALUES];
        for anchor in values.chunks_exact_mut(ANCHOR_VALUES) {
            anchor[ANCHOR_VALUES - 1] = -1000.0;
        }
        let third = &mut values[2 * ANCHOR_VALUES..3 * ANCHOR_VALUES];
        for (index, value) in third.iter_mut().enumerate() {
            *value = index as f32;
        }
        third[ANCHOR_VALUES - 1] = 0.0;
        let found = decode(DetectorRange::Short, &values, 0.5);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].bounding_box,
            BoundingBox {
                x: 11.0,
                y: 3.5,
                width: 2.0,
                height: 3.0
            }
        );
        assert_eq!(found[0].score, 0.5);
        assert_eq!(found[0].keypoints[0], [16.0, 9.0]);
        assert_eq!(found[0].keypoints[5], [26.0, 19.0]);
        assert!(decode(DetectorRange::Short, &values, 0.51).is_empty());
    }

    #[test]
    fn numbers_that_are_none_give_no_face() {
        let mut values = vec![f32::NAN; ANCHOR_VALUES];
        assert!(decode(DetectorRange::Short, &values, 0.0).is_empty());
        values[ANCHOR_VALUES - 1] = 5.0;
        assert!(decode(DetectorRange::Short, &values, 0.0).is_empty());
    }
}
