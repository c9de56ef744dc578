// A face's box in the frame, grown by the margins, its edges cut to whole pixels.

fn whole(edge: f32, limit: u32) -> u32 { return min(u32(max(edge, 0.0)), limit); }

fn region(picture: u32) -> Region {
    let face = launch.first + picture;
    let goal = vec4<u32>(0u, 0u, SIDE, SIDE);
    if (face >= u32(place[0]) || face >= MOST_FACES) { return Region(vec4<u32>(), goal); }
    let at = HEADER + face * FACE_VALUES;
    let scale = vec2<f32>(f32(launch.frame_width), f32(launch.frame_height)) / vec2<f32>(f32(launch.fit_width), f32(launch.fit_height));
    let offset = vec2<f32>(f32(launch.fit_left), f32(launch.fit_top));
    let first = (vec2<f32>(place[at], place[at + 1u]) - offset) * scale;
    let end = (vec2<f32>(place[at], place[at + 1u]) + vec2<f32>(place[at + 2u], place[at + 3u]) - offset) * scale;
    let size = end - first;
    let margin = size * MARGIN;
    let start = first - margin - vec2<f32>(0.0, size.y * RISE);
    let grown = size + 2.0 * margin;
    let corner = vec2<u32>(whole(start.x, launch.frame_width), whole(start.y, launch.frame_height));
    let opposite = vec2<u32>(whole(start.x + grown.x, launch.frame_width), whole(start.y + grown.y, launch.frame_height));
    return Region(vec4<u32>(corner, max(opposite, corner) - corner), goal);
}
