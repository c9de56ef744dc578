mod plans;

use affectlens_fuzz::Target;

use super::*;
use crate::parameters::Line;
use crate::queue::Queue;
use crate::{Activation, CompileError, Engine, InstructionSet, Plan, Weighted, Window};

fn plan() -> Plan {
    let numbers = |count: usize| -> Vec<f32> { (0..count).map(|it| (it as f32).sin()).collect() };
    let layer = |weights, outputs, activation| Weighted {
        weight: numbers(weights),
        bias: numbers(outputs),
        activation,
        slopes: Vec::new(),
    };
    let mut planner = Plan::of_input(6, 6, 3);
    let picture = planner.input();
    let window = Window::symmetric(planner.shape(picture), 3, 2, 1);
    let maps = planner.convolution(picture, window, layer(7 * 27, 7, Activation::Silu));
    let mean = planner.average(maps);
    let colours = planner.average(picture);
    let gate = planner.pointwise(colours, layer(3 * 7, 7, Activation::Sigmoid));
    let gated = layer(7 * 6, 6, Activation::Identity);
    let gated = planner.gated_pointwise(mean, gated, Some(gate), None);
    planner.finish(&[maps, gated])
}

/// Runs a plan as words and by the engine, and compares all outputs.
fn compare(plan: &Plan, set: InstructionSet, batches: &[usize]) -> Result<(), CompileError> {
    let written = plan.clone().lower(set)?;
    let mut words = vec![u32::MAX; written.words()];
    let mut pieces = Vec::new();
    written.write(|start, piece| {
        words[start..start + piece.len()].copy_from_slice(piece);
        pieces.push(start..start + piece.len());
    });
    pieces.sort_by_key(|piece| piece.start);
    let end = pieces.iter().fold(0, |end, piece| {
        assert_eq!(piece.start, end, "a gap between pieces, or one on another");
        piece.end
    });
    assert_eq!(end, words.len(), "words that were not written");
    let mut engine = Engine::new(plan.clone().compile(set)?, 1);
    let widths: Vec<usize> = (0..plan.outputs().len())
        .map(|index| engine.output_len(index))
        .collect();
    let width: usize = widths.iter().sum();
    let mut lines = vec![Line::ZERO; words.len().div_ceil(16)];
    // SAFETY: as many words as lines have room for; both outlive their use, and the plan has the lengths.
    unsafe {
        let place: *mut u32 = lines.as_mut_ptr().cast();
        std::ptr::copy_nonoverlapping(words.as_ptr(), place, words.len());
        let image = Image::at(place);
        for &batch in batches {
            let length = batch * plan.input().len();
            let pictures: Vec<f32> = (0..length).map(|it| (it as f32 * 0.7).cos()).collect();
            engine.run(batch, &pictures);
            let expected: Vec<Vec<f32>> = (0..)
                .zip(&widths)
                .map(|(index, width)| {
                    let mut values = vec![f32::NAN; batch * width];
                    engine.read(index, &mut values);
                    values
                })
                .collect();
            for threads in [1, 2] {
                let layout = image.workspace(batch, threads);
                let mut workspace = vec![Line::ZERO; layout.length.div_ceil(16)];
                let floats: *mut f32 = workspace.as_mut_ptr().cast();
                std::ptr::copy_nonoverlapping(pictures.as_ptr(), floats, pictures.len());
                image.begin(floats, batch, threads);
                let queue = Queue::new();
                let job = image.job(set, floats, batch, threads, &queue);
                std::thread::scope(|scope| {
                    for thread in 1..threads {
                        let job = &job;
                        scope.spawn(move || job.share(thread, crate::team::wait));
                    }
                    job.share(0, crate::team::wait);
                });
                image.end(floats, batch, threads);
                let output = std::slice::from_raw_parts(floats.add(layout.output), batch * width);
                for (picture, row) in output.chunks_exact(width).enumerate() {
                    let mut rest = row;
                    for (expected, width) in expected.iter().zip(&widths) {
                        let (found, after) = rest.split_at(*width);
                        let expected = &expected[picture * width..][..*width];
                        assert_eq!(found, expected, "{set:?}, {threads} threads");
                        assert!(found.iter().all(|value| value.is_finite()), "{found:?}");
                        rest = after;
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn words_run_where_they_lie_as_the_engine_does() {
    compare(&plan(), InstructionSet::Plain, &[2, 1, 3]).expect("plain code is everywhere");
}

/// Whatever network the bytes are taken for, it is refused or runs as words as the engine runs it.
#[test]
fn fuzz_words() {
    let seeds = [&plans::EVERY_STEP[..], &[5, 6, 2, 0, 9, 2, 1, 40, 3]];
    Target::new("words", &seeds).run(|bytes| {
        let (plan, kinds) = plans::plan_of(bytes);
        for set in InstructionSet::available() {
            compare(&plan, set, &[1, 2]).map_err(|error| error.to_string())?;
        }
        // Every mix of steps is an outcome of its own.
        Err::<(), _>(kinds)
    });
}
