// A row or a column of a picture, rows first.
fn line_of(group: u32) -> Line {
    let line = group % (launch.height + launch.width);
    let picture = group / (launch.height + launch.width) * launch.height * launch.width;
    if (line < launch.height) { return Line(0u, launch.width, picture + line * launch.width, 1u); }
    return Line(1u, launch.height, picture + line - launch.height, launch.width);
}
