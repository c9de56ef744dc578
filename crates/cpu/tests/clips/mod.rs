//! Steps over the frames of clips.

use affectlens_cpu::{Activation, Span, Window};

use super::reference::{self, Maps, Numbers};
use super::{ACTIVATIONS, blank, check, layer, plan, refusal, symmetric};

/// A window over each frame.
fn window([height, width]: [usize; 2], kernel: usize, stride: usize) -> Window {
    symmetric([height, width, 1], kernel, stride, kernel / 2)
}

fn span(frames: usize, kernel: usize, stride: usize) -> Span {
    Span::symmetric(frames, kernel, stride, kernel / 2)
}

#[test]
fn convolutions_over_clips_agree_with_the_reference() {
    let mut numbers = Numbers(21);
    for (index, ([frames, height, width], [inputs, outputs], [kernel, stride], [side, step])) in [
        // The kernels of R3D, of R(2+1)D and S3D, and of the pathways of SlowFast.
        ([4, 9, 7], [3, 20], [3, 1], [7, 2]),
        ([5, 6, 8], [18, 33], [3, 2], [3, 2]),
        ([4, 7, 5], [16, 16], [3, 1], [3, 1]),
        ([6, 5, 5], [10, 7], [1, 1], [3, 2]),
        ([7, 4, 6], [21, 40], [3, 1], [1, 1]),
        ([8, 3, 3], [8, 16], [7, 4], [1, 1]),
        ([9, 8, 6], [3, 17], [1, 4], [7, 2]),
        ([6, 4, 4], [5, 9], [1, 2], [1, 2]),
        ([1, 5, 5], [6, 8], [3, 1], [3, 1]),
        ([2, 4, 4], [9, 6], [5, 1], [5, 1]),
        // Weights of more than a megabyte, which are worked on panel by panel.
        ([3, 10, 9], [64, 160], [3, 1], [3, 1]),
        ([2, 12, 12], [256, 144], [7, 1], [1, 1]),
    ]
    .into_iter()
    .enumerate()
    {
        let shape = [frames * height, width, inputs];
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let (span, window) = (
            span(frames, kernel, stride),
            window([height, width], side, step),
        );
        let weights = kernel * side * side * inputs * outputs;
        let layer = layer(&mut numbers, weights, outputs, ACTIVATIONS[index % 8]);
        let expected = reference::clip_convolution(&maps, span, window, &layer, None);
        let what = format!("{span:?}, {window:?} on {shape:?}");
        let plan = plan(shape, |planner, input| {
            planner.clip_convolution(input, span, window, layer, None)
        });
        check(&what, &plan, &maps, &expected);
    }
}

#[test]
fn residual_convolutions_over_clips_agree_with_the_reference() {
    let mut numbers = Numbers(22);
    for (index, (kernel, side)) in [(3, 3), (3, 1), (1, 3)].into_iter().enumerate() {
        let shape = [4 * 5, 6, 20];
        let maps = Maps::noise(&mut numbers, 2, shape);
        let (span, window) = (span(4, kernel, 1), window([5, 6], side, 1));
        let weights = kernel * side * side * 400;
        let activation = [Activation::Relu, Activation::Silu, Activation::Gelu][index];
        let layer = layer(&mut numbers, weights, 20, activation);
        let expected = reference::clip_convolution(&maps, span, window, &layer, Some(&maps));
        let plan = plan(shape, |planner, input| {
            planner.clip_convolution(input, span, window, layer, Some(input))
        });
        check(&format!("residual, {span:?}"), &plan, &maps, &expected);
    }
}

/// As a clip of one frame, or seen frame by frame, it is the convolution of pictures.
#[test]
fn a_clip_seen_frame_by_frame_is_its_pictures() {
    let mut numbers = Numbers(23);
    let maps = Maps::noise(&mut numbers, 3, [7, 6, 5]);
    let clip = Maps {
        batch: 1,
        shape: [3 * 7, 6, 5],
        ..maps.clone()
    };
    let window = window([7, 6], 3, 2);
    let layer = layer(&mut numbers, 9 * 5 * 8, 8, Activation::Relu);
    let pictures = reference::convolution(&maps, window, &layer, None);
    let expected = Maps {
        batch: 1,
        shape: [3 * window.output[0], window.output[1], 8],
        ..pictures
    };
    let plan = plan(clip.shape, |planner, input| {
        planner.clip_convolution(input, span(3, 1, 1), window, layer, None)
    });
    check("frame by frame", &plan, &clip, &expected);
}

#[test]
fn the_largest_of_a_clip_agrees_with_the_reference() {
    let mut numbers = Numbers(24);
    for ([frames, height, width], channels, span, window) in [
        ([4, 7, 9], 20, span(4, 1, 1), window([7, 9], 3, 2)),
        ([5, 6, 6], 17, span(5, 3, 2), window([6, 6], 3, 2)),
        ([3, 40, 5], 8, span(3, 3, 1), window([40, 5], 3, 1)),
        (
            [6, 8, 4],
            3,
            Span::symmetric(6, 2, 2, 0),
            symmetric([8, 4, 1], 2, 2, 0),
        ),
    ] {
        let shape = [frames * height, width, channels];
        let maps = Maps::noise(&mut numbers, 2, shape);
        let expected = reference::clip_max_pool(&maps, span, window);
        let plan = plan(shape, |planner, input| {
            planner.clip_max_pool(input, span, window)
        });
        check(&format!("largest of {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn means_of_frames_agree_with_the_reference() {
    let mut numbers = Numbers(25);
    for (frames, shape) in [(2, [14, 7, 40]), (5, [5, 1, 3]), (1, [6, 5, 16])] {
        let maps = Maps::noise(&mut numbers, 2, shape);
        let expected = reference::frame_average(&maps, frames);
        let plan = plan(shape, |planner, input| planner.frame_average(input, frames));
        check(&format!("means of {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn interpolated_frames_agree_with_the_reference() {
    let mut numbers = Numbers(27);
    for (frames, shape) in [
        ([4, 16], [4, 1, 40]),
        ([3, 7], [6, 5, 16]),
        ([5, 2], [15, 2, 9]),
        ([1, 3], [2, 2, 3]),
        ([4, 4], [4, 3, 8]),
    ] {
        let maps = Maps::noise(&mut numbers, 2, shape);
        let expected = reference::interpolated_frames(&maps, frames);
        let plan = plan(shape, |planner, input| {
            planner.interpolate_frames(input, frames)
        });
        check(
            &format!("{frames:?} frames of {shape:?}"),
            &plan,
            &maps,
            &expected,
        );
    }
}

#[test]
fn joined_maps_follow_each_other() {
    let mut numbers = Numbers(26);
    for (channels, others) in [(16, [32, 16]), (5, [7, 1]), (30, [3, 14])] {
        let shape = [9, 4, channels];
        let maps = Maps::noise(&mut numbers, 2, shape);
        let layers = others
            .map(|outputs| layer(&mut numbers, channels * outputs, outputs, Activation::Relu));
        let [first, second] = layers.each_ref().map(|it| reference::dense(&maps, it));
        let expected = reference::joined(&[&first, &maps, &second]);
        let plan = plan(shape, |planner, input| {
            let [first, second] = layers.map(|it| planner.pointwise(input, it));
            planner.join(&[first, input, second])
        });
        check(&format!("joined {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn malformed_clips_are_refused() {
    let layer = || blank(4 * 4, 4, Activation::Relu);
    let convolve = |span: Span| {
        refusal(|planner, input| {
            let window = window([4, 8], 1, 1);
            planner.clip_convolution(input, span, window, layer(), None)
        })
    };
    assert_eq!(
        convolve(span(3, 1, 1)),
        "a map of 8 rows is no clip of 3 frames"
    );
    for (span, reason) in [
        (
            Span {
                kernel: 0,
                ..span(2, 1, 1)
            },
            "has no extent",
        ),
        (
            Span {
                padding: 1,
                ..span(2, 1, 1)
            },
            "lies in the padding",
        ),
        (
            Span {
                output: 3,
                ..span(2, 1, 1)
            },
            "reaches past the clip",
        ),
        (
            Span {
                output: 70_000,
                ..span(2, 1, 1)
            },
            "is too large",
        ),
    ] {
        let expected = format!("span of {} frames, stride 1, {reason}", span.kernel);
        assert_eq!(convolve(span), expected);
    }
    let message = refusal(|planner, input| planner.frame_average(input, 0));
    assert_eq!(message, "a map of 8 rows is no clip of 0 frames");
    let message = refusal(|planner, input| planner.interpolate_frames(input, [3, 4]));
    assert_eq!(message, "a map of 8 rows is no clip of 3 frames");
    for frames in [0, 20_000] {
        let message = refusal(|planner, input| planner.interpolate_frames(input, [2, frames]));
        assert_eq!(
            message,
            format!("{frames} frames of 4 rows, expected 1 to 65536 rows")
        );
    }
    let message = refusal(|planner, input| {
        let mean = planner.average(input);
        planner.join(&[input, mean])
    });
    assert_eq!(message, "map to join has shape [1, 1], expected [8, 8]");
}
