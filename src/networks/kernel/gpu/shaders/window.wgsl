// The pixels of an invocation: PIXELS neighbours of a row, from `x` on. `top` and `left`, where their window begins, can
// be negative.
struct Place { column: u32, x: u32, y: u32, picture: u32, top: i32, left: i32 }

fn place_of(invocation: u32) -> Place {
    let tile = invocation / launch.outputs;
    let tiles = (launch.width + PIXELS - 1u) / PIXELS;
    let x = tile % tiles * PIXELS;
    let y = tile / tiles % launch.height;
    return Place(
        invocation % launch.outputs,
        x,
        y,
        tile / tiles / launch.height,
        i32(y * STRIDE) - i32(launch.padding_top),
        i32(x * STRIDE) - i32(launch.padding_left),
    );
}

// First pixel of a row of a picture of the input.
fn row_of(picture: i32, y: i32) -> u32 { return (u32(picture) * launch.in_height + u32(y)) * launch.in_width; }

// A pixel of a row; outside of it another one, which does not count.
fn pixel_of(row: u32, x: i32) -> u32 { return row + min(u32(x), launch.in_width - 1u); }

// Left of the row a negative number becomes a large one.
fn is_inside(x: i32, length: u32) -> bool { return u32(x) < length; }

fn output_of(place: Place) -> u32 {
    return ((place.picture * launch.height + place.y) * launch.width + place.x) * launch.outputs + place.column;
}
