// Decodes the anchors and blends those that see the same face, best score first: one group does it all.
var<workgroup> scores: array<f32, ANCHORS>;
var<workgroup> odd: atomic<u32>;

fn is_odd(value: f32) -> bool { return (bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u; }

fn centre(anchor: u32) -> vec2<f32> { return vec2<f32>(centres[anchor * 2u], centres[anchor * 2u + 1u]); }

// Left, top, width, height.
fn box_of(anchor: u32) -> vec4<f32> {
    let at = anchor * BOX_STEP;
    let size = vec2<f32>(anchors[at + 2u], anchors[at + 3u]);
    return vec4<f32>(vec2<f32>(anchors[at], anchors[at + 1u]) + centre(anchor) - size / 2.0, size);
}

fn overlap(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let both = max(min(a.xy + a.zw, b.xy + b.zw) - max(a.xy, b.xy), vec2<f32>());
    let intersection = both.x * both.y;
    let united = max(a.z, 0.0) * max(a.w, 0.0) + max(b.z, 0.0) * max(b.w, 0.0) - intersection;
    return select(0.0, intersection / united, united > 0.0);
}

fn main(group: u32, local: u32) {
    // Burn's device does not clear workgroup memory.
    if (local == 0u) { atomicStore(&odd, 0u); }
    workgroupBarrier();
    for (var anchor = local; anchor < ANCHORS; anchor += GROUP) {
        let at = anchor * BOX_STEP;
        let logit = anchors[SCORE_START + anchor * SCORE_STEP];
        var score = 1.0 / (1.0 + exp(-clamp(logit, -LIMIT, LIMIT)));
        if (is_odd(logit)) { atomicAdd(&odd, 1u); score = -1.0; }
        for (var i = 0u; i < VALUES; i++) { if (is_odd(anchors[at + i])) { score = -1.0; } }
        // Zero for those that count no longer.
        scores[anchor] = select(0.0, score, score >= THRESHOLD);
    }
    workgroupBarrier();
    if (local != 0u) { return; }
    var count = 0u;
    loop {
        var best = ANCHORS;
        var best_score = 0.0;
        for (var anchor = 0u; anchor < ANCHORS; anchor++) {
            if (scores[anchor] > best_score) { best = anchor; best_score = scores[anchor]; }
        }
        if (best == ANCHORS || count == MOST_FACES) { break; }
        let chosen = box_of(best);
        var place = vec4<f32>();
        var points: array<vec2<f32>, KEYPOINTS>;
        var total = 0.0;
        var members = 0u;
        for (var anchor = 0u; anchor < ANCHORS; anchor++) {
            let score = scores[anchor];
            if (score <= 0.0) { continue; }
            let other = box_of(anchor);
            if (anchor != best && overlap(chosen, other) <= OVERLAP) { continue; }
            place += score * other;
            let middle = centre(anchor);
            for (var i = 0u; i < KEYPOINTS; i++) {
                let at = anchor * BOX_STEP + BOX_VALUES + 2u * i;
                points[i] += score * (vec2<f32>(anchors[at], anchors[at + 1u]) + middle);
            }
            total += score;
            members++;
            scores[anchor] = 0.0;
        }
        let at = HEADER + count * FACE_VALUES;
        place = select(place / total, chosen, members == 1u);
        for (var i = 0u; i < BOX_VALUES; i++) { found[at + i] = place[i]; }
        found[at + BOX_VALUES] = best_score;
        for (var i = 0u; i < KEYPOINTS; i++) {
            let point = at + BOX_VALUES + 1u + 2u * i;
            found[point] = points[i].x / total;
            found[point + 1u] = points[i].y / total;
        }
        count++;
    }
    found[0] = f32(count);
    found[1] = f32(atomicLoad(&odd));
}
