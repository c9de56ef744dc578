fn gate_of(row: u32, column: u32) -> vec4<f32> {
    return max(gates[row] * gates[column], others[row] * others[column]);
}
