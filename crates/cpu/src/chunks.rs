//! Splits operations into chunks of about equal work. Chunks do not depend on the number of threads, so that results do
//! not either.

use crate::instructions::InstructionSet;
use crate::packed::{Kind, PackedStep, narrow};

/// Products of one chunk at least, for each float of a vector: some microseconds of work.
const CHUNK: usize = 1 << 15;
/// Chunks of one operation and picture at most.
const CHUNKS: usize = 16;
/// Cost of an exponential, in products.
const EXPONENTIAL: usize = 16;
/// Floats of a block of rows; it stays in the second cache.
const BLOCK: usize = 1 << 15;

/// Pixels of a chunk of a convolution in groups.
const GROUPED_ROWS: u32 = 128;
/// Pixels of a chunk of attention: a multiple of the rows of every tile of scores.
const QUERIES: u32 = 96;
/// Floats of weights above which a chunk of a long product has some panels only: what stays in the second cache.
const PANELS: usize = 1 << 17;
/// Rows of such a chunk.
const PANEL_ROWS: u32 = 192;

/// Sets rows and columns of the chunks, and the block of a product.
pub(crate) fn split(step: &mut PackedStep, set: InstructionSet) {
    let [width, ..] = set.sizes();
    let wanted = narrow(match work(step) / (CHUNK * width) {
        0 => 1,
        // An even number: of three chunks two threads would have one and two.
        chunks => chunks.min(CHUNKS).next_multiple_of(2),
    });
    let pixels = step.destination.pixels();
    let height = step.destination.height;
    (step.chunk_rows, step.chunk_columns) = match step.kind {
        Kind::Product => split_product(step, set, wanted),
        Kind::Depthwise | Kind::MaxPool | Kind::LineGate | Kind::Enlarge => {
            if height >= 28 {
                (height.div_ceil(wanted), step.vectors)
            } else {
                (height, step.vectors.div_ceil(wanted))
            }
        }
        Kind::Average | Kind::Lines => (1, step.vectors.div_ceil(wanted)),
        Kind::LayerNorm | Kind::Arrange => (narrow(pixels).div_ceil(wanted), step.vectors),
        Kind::Grouped => (GROUPED_ROWS, step.vectors),
        Kind::Keys => (step.source.width, step.vectors),
        Kind::Attention => (QUERIES, step.vectors),
        Kind::Unfold | Kind::Fold | Kind::Interpolate | Kind::Join => {
            (height.div_ceil(wanted), step.vectors)
        }
        Kind::Transpose => (height, step.vectors),
    };
    if step.kind == Kind::Product {
        step.block = narrow(block(step, set).min(step.chunk_rows as usize));
    }
}

/// Products of one picture, or what takes as long.
fn work(step: &PackedStep) -> usize {
    let each = match step.kind {
        Kind::Product => step.depth as usize,
        // Loads weigh more than products here.
        Kind::Depthwise => 3 * (step.kernel[0] * step.kernel[1] * step.depth) as usize,
        Kind::MaxPool => 3 * (step.kernel[0] * step.kernel[1] * step.span.kernel) as usize,
        Kind::Average => step.source.pixels() * 2 / step.destination.pixels(),
        Kind::Lines => step.source.pixels() * 6 / step.destination.pixels(),
        Kind::LayerNorm | Kind::LineGate => 8,
        Kind::Enlarge => 12,
        Kind::Grouped | Kind::Keys | Kind::Attention => 0,
        Kind::Unfold | Kind::Fold => 8,
        Kind::Interpolate => 4,
        Kind::Join | Kind::Transpose | Kind::Arrange => 2,
    };
    let finish = if step.activation.is_clamp() {
        2
    } else {
        EXPONENTIAL
    };
    step.destination.len() * (each + finish)
}

fn split_product(step: &PackedStep, set: InstructionSet, wanted: u32) -> (u32, u32) {
    let [_, _, rows] = set.sizes();
    let pixels = step.destination.pixels();
    // A band of lines is gathered at a time.
    let rows = match step.gathers() {
        true => step.destination.width,
        false => narrow(rows),
    };
    if pixels == 1 {
        // All pictures of a batch in one pass over the weights.
        (16, step.panels.div_ceil(wanted))
    } else if step.destination.stride as usize > pixels {
        (narrow(pixels), step.panels.div_ceil(wanted))
    } else {
        if step.gathers() && step.span.moves() && step.weights() > 2 * PANELS {
            // The weights that one frame is seen with, for some panels.
            let panel = step.weights() / (step.panels * step.span.kernel) as usize;
            return (narrow(step.frame()), narrow((PANELS / panel).max(1)));
        }
        if !step.gathers() && step.weights() > 2 * PANELS {
            let panel = step.weights() / step.panels as usize;
            let rows = PANEL_ROWS.next_multiple_of(rows);
            return (rows, narrow((PANELS / panel).max(1)));
        }
        let rows = narrow(pixels).div_ceil(wanted).next_multiple_of(rows);
        (rows, step.panels)
    }
}

/// Pixels of a product that are gathered or gated at a time.
fn block(step: &PackedStep, set: InstructionSet) -> usize {
    let [_, _, rows] = set.sizes();
    if step.gathers() {
        let [_, width] = step.band(step.destination.width as usize);
        let line = width * (step.stride * step.source.stride) as usize;
        (BLOCK / line).max(1) * step.destination.width as usize
    } else {
        (BLOCK / step.depth as usize).next_multiple_of(rows)
    }
}
