// What is added to a score by how two pixels lie to each other, and by whether they are in one region.
fn score_bias(row: u32, head: u32, query: u32, key: u32) -> f32 {
    var sum = table[head * PLACES + PLACES / 2u + codes[query] - codes[key]];
    if (REGIONED > 0u) {
        // Regions follow the codes of a row.
        let regions = (1u + row % max(REGIONED, 1u)) * launch.pixels;
        if (codes[regions + query] != codes[regions + key]) { sum += APART; }
    }
    return sum;
}
