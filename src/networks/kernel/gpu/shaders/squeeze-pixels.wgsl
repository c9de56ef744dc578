// All pixels of a picture.
fn line_of(group: u32) -> Line { return Line(0u, launch.pixels, group * launch.pixels, 1u); }
