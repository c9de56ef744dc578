// Everything after the sum. A picture has `launch.rows` pixels.
fn store(picture: u32, row: u32, column: u32, sum: vec4<f32>) {
    let pixel = picture * launch.rows + row;
    let x = add_shortcut(sum + bias[column], picture, row, column);
    output[pixel * launch.outputs + column] = Output(activate(x, column));
}
