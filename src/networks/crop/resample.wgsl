// Squashes a region of the frame into a square with a triangle filter that widens when the picture shrinks: along the
// rows first, rounded to 8 bits after each pass.
struct Region { source: vec4<u32>, goal: vec4<u32> }

struct Taps { first: u32, end: u32, centre: f32, width: f32, total: f32 }

fn weight(taps: Taps, at: u32) -> f32 {
    return max(0.0, 1.0 - abs((f32(at) + 0.5 - taps.centre) / taps.width));
}

// Pixels of an axis of `length` that make up pixel `at` of `wanted`.
fn taps_of(at: u32, length: u32, wanted: u32) -> Taps {
    let scale = f32(length) / f32(wanted);
    var taps: Taps;
    taps.width = max(scale, 1.0);
    taps.centre = (f32(at) + 0.5) * scale;
    taps.first = u32(max(taps.centre - taps.width + 0.5, 0.0));
    taps.end = min(u32(taps.centre + taps.width + 0.5), length);
    taps.total = 0.0;
    for (var i = taps.first; i < taps.end; i++) { taps.total += weight(taps, i); }
    return taps;
}

fn to_byte(value: vec3<f32>) -> vec3<f32> {
    return clamp(floor(value + 0.5), vec3<f32>(), vec3<f32>(255.0));
}

fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    let picture = at / (SIDE * SIDE);
    let square = vec2<u32>(at % SIDE, at / SIDE % SIDE);
    if (at * 3u >= arrayLength(&output)) { return; }
    let found = region(picture);
    let inside = square - found.goal.xy;
    var colour = vec3<f32>();
    // Left of and above the goal the difference wraps around and is large.
    if (all(inside < found.goal.zw) && all(found.source.zw > vec2<u32>())) {
        let columns = taps_of(inside.x, found.source.z, found.goal.z);
        let rows = taps_of(inside.y, found.source.w, found.goal.w);
        for (var y = rows.first; y < rows.end; y++) {
            var row = vec3<f32>();
            for (var x = columns.first; x < columns.end; x++) {
                row += weight(columns, x) * vec3<f32>(pixel(found.source.x + x, found.source.y + y));
            }
            colour += weight(rows, y) * to_byte(row / columns.total);
        }
        colour = to_byte(colour / rows.total);
    }
    give(at, colour);
}
