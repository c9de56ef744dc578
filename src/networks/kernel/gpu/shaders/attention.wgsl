// Each invocation is one pixel of one head and looks at one key of its row after the other: sums are kept with their largest
// score.
// `stored` and `written` count vectors of a pixel.
fn main(group: u32, local: u32) {
    let blocks = (launch.pixels + GROUP - 1u) / GROUP;
    let head = group / blocks % launch.heads;
    let row = group / blocks / launch.heads;
    let query = group % blocks * GROUP + local;
    if (query >= launch.pixels || row >= launch.rows) { return; }
    let first = row * launch.pixels * launch.stored + head * LENGTH;
    let width = launch.heads * LENGTH;
    #for i in LENGTH
    let query$i = vec4<f32>(input[first + query * launch.stored + $iu]) * SCALE;
    var sum$i = vec4<f32>();
    #end
    var largest = -3.0e38;
    var total = 0.0;
    for (var key = 0u; key < launch.pixels; key++) {
        let at = first + key * launch.stored + width;
        var score = 0.0;
        #for i in LENGTH
        score += dot(query$i, vec4<f32>(input[at + $iu]));
        #end
        score += score_bias(row, head, query, key);
        if (score > largest) {
            let scale = exp(largest - score);
            total *= scale;
            #for i in LENGTH
            sum$i *= scale;
            #end
            largest = score;
        }
        let weight = exp(score - largest);
        total += weight;
        #for i in LENGTH
        sum$i += weight * vec4<f32>(input[at + width + $iu]);
        #end
    }
    let place = (row * launch.pixels + query) * launch.written + head * LENGTH;
    #for i in LENGTH
    output[place + $iu] = Output(sum$i / total);
    #end
}
