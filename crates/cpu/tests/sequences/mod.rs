//! Steps over pixels in their order, and programs whose length changes.

use affectlens_cpu::{Activation, CompileError, Engine, InstructionSet, Plan, Planner, ScoreBias};

use super::reference::{self, Maps, Numbers};
use super::{TOLERANCE, blank, check, layer, plan, refusal};

#[test]
fn convolutions_along_a_row_agree_with_the_reference() {
    let mut numbers = Numbers(11);
    for (index, [length, inputs, outputs, kernel, stride]) in [
        [103, 1, 20, 10, 5],
        [50, 32, 48, 3, 2],
        [31, 7, 19, 2, 2],
        [9, 16, 5, 9, 1],
        // Weights of more than a megabyte, which are worked on panel by panel.
        [165, 128, 144, 16, 1],
    ]
    .into_iter()
    .enumerate()
    {
        let shape = [1, length, inputs];
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let activation = [Activation::Gelu, Activation::Identity][index % 2];
        let layer = layer(&mut numbers, kernel * inputs * outputs, outputs, activation);
        let count = (length - kernel) / stride + 1;
        let sizes = [kernel, stride, 0, 1, count];
        let expected = reference::along_row(&maps, sizes, &layer);
        let plan = plan(shape, |planner, input| {
            planner.line_convolution(input, kernel, stride, layer)
        });
        check(&format!("row of {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn convolutions_in_groups_agree_with_the_reference() {
    let mut numbers = Numbers(12);
    for (index, [length, inputs, outputs, kernel, groups]) in [
        [1, 8, 8, 4, 2],
        [150, 96, 96, 128, 2],
        [20, 6, 9, 5, 3],
        [300, 20, 40, 3, 1],
    ]
    .into_iter()
    .enumerate()
    {
        let shape = [1, length, inputs];
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let weights = kernel * inputs / groups * outputs;
        let activation = [Activation::Gelu, Activation::Relu][index % 2];
        let mut layer = layer(&mut numbers, weights, outputs, activation);
        let scale = (3.0 / (kernel * inputs / groups) as f32).sqrt();
        layer.weight = numbers.take(weights, scale);
        let padding = kernel / 2;
        let sizes = [kernel, 1, padding, groups, length];
        let mut expected = reference::along_row(&maps, sizes, &layer);
        let adds = inputs == outputs;
        if adds {
            expected = expected.with(&maps, |x, y| x + y);
        }
        let plan = plan(shape, |planner, input| {
            let addend = adds.then_some(input);
            planner.grouped_convolution(input, [kernel, padding, groups], layer, addend)
        });
        check(&format!("groups of {shape:?}"), &plan, &maps, &expected);
    }
}

/// Several lengths of heads; fewer pixels than a tile, several tiles of pixels and of keys, several rows.
#[test]
fn attention_agrees_with_all_of_its_scores() {
    let mut numbers = Numbers(13);
    for (index, [height, width, heads, length]) in [
        [1, 1, 2, 8],
        [1, 49, 3, 64],
        [5, 4, 4, 36],
        [3, 130, 2, 30],
        [1, 250, 2, 64],
        [1, 97, 1, 5],
    ]
    .into_iter()
    .enumerate()
    {
        let shape = [height, width, 3 * heads * length];
        let mut maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        // Scores between which weights differ a lot, largest ones late.
        let count = maps.values.len();
        for (place, value) in maps.values.iter_mut().enumerate() {
            *value = f64::from((*value * (1.0 + 3.0 * place as f64 / count as f64)) as f32);
        }
        let expected = reference::attention(&maps, heads, None);
        let plan = plan(shape, |planner, input| planner.attention(input, heads));
        check(&format!("attention on {shape:?}"), &plan, &maps, &expected);
    }
}

/// A bias for rows of so many pixels, whose codes grow and fall, with some regions in every second row.
fn score_bias(numbers: &mut Numbers, [height, width, heads]: [usize; 3]) -> ScoreBias {
    let codes: Vec<u32> = (0..width as u32).map(|pixel| pixel * 7 % 23).collect();
    let regions = (0..height * width)
        .map(|pixel| u32::from(pixel / width % 2 == 1) * (pixel % width / 5 % 3) as u32)
        .collect();
    ScoreBias {
        table: numbers.take((2 * 22 + 1) * heads, 3.0),
        codes,
        regions: if height > 1 { regions } else { Vec::new() },
    }
}

/// One region and several; more keys than are looked at at a time.
#[test]
fn attention_with_something_added_agrees_with_the_reference() {
    let mut numbers = Numbers(18);
    for (index, [height, width, heads, length]) in
        [[1, 12, 2, 8], [3, 98, 3, 32], [4, 130, 1, 12], [2, 5, 2, 5]]
            .into_iter()
            .enumerate()
    {
        let shape = [height, width, 3 * heads * length];
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let bias = score_bias(&mut numbers, [height, width, heads]);
        let expected = reference::attention(&maps, heads, Some(&bias));
        let plan = plan(shape, |planner, input| {
            planner.biased_attention(input, heads, Some(bias))
        });
        check(&format!("bias on {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn pixels_in_another_order_agree_with_the_reference() {
    let mut numbers = Numbers(19);
    for (index, (shape, sides)) in [
        ([4, 6, 16], [2, 12]),
        ([3, 5, 7], [1, 40]),
        ([1, 50, 33], [5, 10]),
        ([2, 2, 3], [1, 1]),
    ]
    .into_iter()
    .enumerate()
    {
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let [height, width] = sides;
        let pixels = shape[0] * shape[1];
        let places: Vec<Option<u32>> = (0..height * width)
            .map(|pixel| (pixel % 6 != 4).then_some((pixel * 11 % pixels) as u32))
            .collect();
        let addend = match index % 2 {
            0 => numbers.take(height * width * shape[2], 1.0),
            _ => Vec::new(),
        };
        let expected = reference::arranged(&maps, sides, &places, &addend);
        let plan = plan(shape, |planner, input| {
            planner.arrange(input, sides, places, addend)
        });
        check(&format!("order of {shape:?}"), &plan, &maps, &expected);
    }
}

#[test]
fn patches_agree_with_the_reference() {
    let mut numbers = Numbers(17);
    for (index, [height, width, channels, patch]) in [
        [4, 6, 16, 2],
        [7, 7, 30, 2],
        [5, 8, 3, 2],
        [30, 31, 20, 3],
        [1, 1, 8, 2],
        [3, 2, 5, 1],
    ]
    .into_iter()
    .enumerate()
    {
        let shape = [height, width, channels];
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let unfolded = reference::unfolded(&maps, patch);
        let rows = plan(shape, |planner, input| planner.unfold(input, patch));
        check(&format!("patches of {shape:?}"), &rows, &maps, &unfolded);
        let sides = [height, width];
        let folded = reference::folded(&unfolded, patch, sides);
        let picture = plan(unfolded.shape, |planner, input| {
            planner.fold(input, patch, sides)
        });
        check(
            &format!("picture of {shape:?}"),
            &picture,
            &unfolded,
            &folded,
        );
        let is_whole = sides.iter().all(|side| side.is_multiple_of(patch));
        assert!(!is_whole || folded.values == maps.values, "{shape:?}");
    }
}

#[test]
fn channels_become_pixels_and_pixels_channels() {
    let mut numbers = Numbers(19);
    for (index, shape) in [[1, 97, 64], [3, 5, 2], [1, 1, 7], [2, 8, 16]]
        .into_iter()
        .enumerate()
    {
        let maps = Maps::noise(&mut numbers, 1 + index % 2, shape);
        let transposed = reference::transposed(&maps);
        let rows = plan(shape, Planner::transpose);
        check(&format!("channels of {shape:?}"), &rows, &maps, &transposed);
        let back = plan(shape, |planner, input| {
            let turned = planner.transpose(input);
            planner.transpose(turned)
        });
        let rows = Maps {
            shape: [1, shape[0] * shape[1], shape[2]],
            ..maps.clone()
        };
        check(&format!("there and back, {shape:?}"), &back, &maps, &rows);
    }
}

/// A small transformer's layer.
fn encoder(length: usize, numbers: &mut Numbers) -> Plan {
    let mut planner = Plan::of_input(1, length, 12);
    let input = planner.input();
    let position = layer(numbers, 8 * 4 * 12, 12, Activation::Gelu);
    let maps = planner.grouped_convolution(input, [8, 4, 3], position, Some(input));
    let all = layer(numbers, 12 * 36, 36, Activation::Identity);
    let all = planner.pointwise(maps, all);
    let maps = planner.attention(all, 2);
    let maps = planner.layer_norm(maps, numbers.take(12, 1.0), numbers.take(12, 1.0), 1e-5);
    planner.finish(&[maps])
}

#[test]
fn a_program_of_another_length_is_one_that_was_made_for_it() {
    for set in InstructionSet::available() {
        let mut first = encoder(3, &mut Numbers(14));
        let mut engine = Engine::new(first.clone().compile(set).expect("a set"), 2);
        for length in [1, 200, 49, 49] {
            let plan = encoder(length, &mut Numbers(14));
            let input = Numbers(15).take(12 * length, 1.0);
            let mut made = Engine::new(plan.clone().compile(set).expect("a set"), 2);
            made.run(1, &input);
            engine.set_length(length).expect("a row");
            engine.run(1, &input);
            let [mut got, mut expected] = [(); 2].map(|()| vec![0.0; 12 * length]);
            engine.read(0, &mut got);
            made.read(0, &mut expected);
            assert!(got == expected, "{set:?}, length {length}");
            first.set_length(length);
            assert!(first == plan, "plan of {length}");
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let plan = encoder(3, &mut Numbers(14));
    let mut program = plan.compile(InstructionSet::Plain).expect("everywhere");
    for pixels in [0, 70_000] {
        let error = program.set_length(pixels).expect_err("no such length");
        assert_eq!(error, CompileError::Length { pixels });
    }
    let mut planner = Plan::of_input(1, 12, 4);
    let input = planner.input();
    let halved = planner.line_convolution(input, 2, 2, blank(16, 2, Activation::Relu));
    let mut program = planner.finish(&[halved]);
    let mut compiled = program
        .clone()
        .compile(InstructionSet::Plain)
        .expect("everywhere");
    let error = compiled.set_length(24).expect_err("two lengths");
    assert_eq!(error.to_string(), "program cannot have maps of 24 pixels");
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.set_length(24)));
    assert!(refused.is_err(), "a plan of two lengths");
}

#[test]
fn malformed_sequences_are_refused() {
    assert!(
        refusal(|planner, input| planner.attention(input, 2)).starts_with("4 channels are not")
    );
    let layer = || blank(32, 2, Activation::Relu);
    let message = refusal(|planner, input| planner.line_convolution(input, 4, 1, layer()));
    assert!(message.contains("rows of a line"), "{message}");
    let message = refusal(|planner, input| planner.unfold(input, 0));
    assert_eq!(message, "patches of 0 pixels a side");
    let message = refusal(|planner, input| planner.arrange(input, [1, 2], vec![None], vec![]));
    assert_eq!(message, "places has shape [1], expected [2]");
    let message =
        refusal(|planner, input| planner.arrange(input, [1, 1], vec![Some(1 << 20)], vec![]));
    assert!(
        message.starts_with("place Some(1048576) of a map"),
        "{message}"
    );
    let message =
        refusal(|planner, input| planner.arrange(input, [1, 1], vec![None], vec![0.0; 3]));
    assert_eq!(message, "addend has shape [3], expected [4]");
    let message = refusal(|planner, input| {
        let maps = planner.pointwise(input, blank(12, 3, Activation::Relu));
        let bias = ScoreBias {
            table: vec![0.0; 3],
            codes: vec![2; planner.shape(maps).width],
            regions: vec![],
        };
        planner.biased_attention(maps, 1, Some(bias))
    });
    assert_eq!(
        message,
        "a table of 3 numbers does not fit to 1 heads and codes up to 2"
    );
    let message = refusal(|planner, input| planner.fold(input, 2, [9, 9]));
    assert!(message.starts_with("patches has shape"), "{message}");
    let narrow = |planner: &mut affectlens_cpu::Planner, input| {
        let pixel = planner.average(input);
        planner.line_convolution(pixel, 4, 1, layer())
    };
    assert_eq!(
        refusal(narrow),
        "a kernel of 4 and stride 1 does not fit into a row of 1"
    );
}

#[test]
fn attention_does_not_depend_on_how_keys_are_tiled() {
    // The same keys twice: weights halve, and the result stays.
    let mut numbers = Numbers(16);
    let (pixels, channels) = (70, 3 * 16);
    let once = numbers.take(pixels * channels, 1.5);
    let twice = [once.as_slice(), &once].concat();
    let run = |input: &[f32]| {
        let plan = plan([1, input.len() / channels, channels], |planner, input| {
            planner.attention(input, 1)
        });
        let program = plan.compile(InstructionSet::detect()).expect("a set");
        let mut engine = Engine::new(program, 1);
        engine.run(1, input);
        let mut output = vec![0.0; engine.output_len(0)];
        engine.read(0, &mut output);
        output
    };
    let (once, twice) = (run(&once), run(&twice));
    for (once, twice) in once.iter().chain(&once).zip(&twice) {
        assert!(f64::from((once - twice).abs()) < TOLERANCE);
    }
}
