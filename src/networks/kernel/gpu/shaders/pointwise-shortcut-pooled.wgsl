// The largest of the 2x2 pixels of a map of twice the size.
fn add_shortcut(x: vec4<f32>, picture: u32, row: u32, column: u32) -> vec4<f32> {
    if (column >= launch.shortcut_channels) { return x; }
    let line = 2u * launch.width;
    let corner = picture * 4u * launch.rows + row / launch.width * 2u * line + row % launch.width * 2u;
    let at = corner * launch.shortcut_channels + column;
    let below = at + line * launch.shortcut_channels;
    return x + vec4<f32>(max(
        max(shortcut[at], shortcut[at + launch.shortcut_channels]),
        max(shortcut[below], shortcut[below + launch.shortcut_channels]),
    ));
}
