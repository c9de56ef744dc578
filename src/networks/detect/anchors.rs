//! From the network's numbers to candidate faces.

use super::blazeface::{ANCHOR_VALUES, HEADS, INPUT_SIDE};
use crate::face::{BoundingBox, Detection};

/// Logits are cut here, as MediaPipe does: the score does not change any more.
pub(super) const LOGIT_LIMIT: f32 = 100.0;

/// Numbers of an anchor's box: left, top, width, height. Keypoints follow, then the score.
pub(super) const BOX_VALUES: usize = 4;
/// Keypoints of an anchor.
pub(super) const KEYPOINTS: usize = (ANCHOR_VALUES - 1 - BOX_VALUES) / 2;

/// Centres of the anchors in input pixels, in the network's order. Every anchor is as large as the input.
pub(super) fn anchor_centres() -> Vec<[f32; 2]> {
    let mut centres = Vec::new();
    for (_, _, cells, anchors) in HEADS {
        let cell = side() / number(cells);
        for y in 0..cells {
            for x in 0..cells {
                let centre = [(number(x) + 0.5) * cell, (number(y) + 0.5) * cell];
                centres.extend(std::iter::repeat_n(centre, anchors));
            }
        }
    }
    centres
}

/// Candidates with at least this score, in input pixels, in the order of the anchors.
///
/// `values` is `[896, 17]` as [`plan`](super::plan) gives it for one picture.
pub(super) fn decode(values: &[f32], threshold: f32) -> Vec<Detection> {
    values
        .chunks_exact(ANCHOR_VALUES)
        .zip(anchor_centres())
        .filter_map(|(values, centre)| decode_anchor(values, centre, threshold))
        .collect()
}

fn decode_anchor(values: &[f32], centre: [f32; 2], threshold: f32) -> Option<Detection> {
    let (places, logit) = values.split_at(ANCHOR_VALUES - 1);
    let score = 1.0 / (1.0 + (-logit[0].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)).exp());
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

fn side() -> f32 {
    number(INPUT_SIDE as usize)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "cells and pixels of a 128-pixel square"
)]
fn number(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_cover_both_grids() {
        let centres = anchor_centres();
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
        let found = decode(&values, 0.5);
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
        assert!(decode(&values, 0.51).is_empty());
    }

    #[test]
    fn numbers_that_are_none_give_no_face() {
        let mut values = vec![f32::NAN; ANCHOR_VALUES];
        assert!(decode(&values, 0.0).is_empty());
        values[ANCHOR_VALUES - 1] = 5.0;
        assert!(decode(&values, 0.0).is_empty());
    }
}
