// Golden for `faceres`: the published graph with its published weights, run by TensorFlow.js.
//
//     npm install @tensorflow/tfjs@4.22.0 @vladmandic/human@3.3.6
//     node tests/goldens/faceres.mjs FOLDER_WITH_NODE_MODULES    # writes tests/goldens/faceres.json
//
// The input is the integer pattern `pixel`, which tests/native/backbones.rs draws too.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = resolve(process.argv[2] ?? ".");
const require = createRequire(`${folder}/`);
const tf = require("@tensorflow/tfjs");

const SIDE = 224;
const MEAN = [123.68, 116.779, 103.939];

/** A smooth, skewed pattern with edges in it: 0 to 255. */
function pixel(x, y, channel) {
  const ramp = x * (channel + 1) + y * (3 - channel);
  const rings = ((x - 112) * (x - 112) + (y - 90) * (y - 90)) >> (6 + channel);
  return (ramp + 4 * rings) & 255;
}

const models = `${folder}/node_modules/@vladmandic/human/models`;
const published = JSON.parse(readFileSync(`${models}/faceres.json`, "utf8"));
const bytes = readFileSync(`${models}/faceres.bin`);
const model = await tf.loadGraphModel({
  load: async () => ({
    modelTopology: published.modelTopology,
    weightSpecs: published.weightsManifest.flatMap((group) => group.weights),
    weightData: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  }),
});

const input = new Float32Array(SIDE * SIDE * 3);
for (let y = 0; y < SIDE; y++) {
  for (let x = 0; x < SIDE; x++) {
    for (let c = 0; c < 3; c++) input[(y * SIDE + x) * 3 + c] = pixel(x, y, c) - MEAN[c];
  }
}
const output = model.execute(tf.tensor4d(input, [1, SIDE, SIDE, 3]), "global_pooling/Mean");
const embedding = Array.from(output.dataSync(), (value) => Number(value.toPrecision(8)));
writeFileSync(
  fileURLToPath(new URL("faceres.json", import.meta.url)),
  JSON.stringify({
    made_by: `tests/goldens/faceres.mjs, tfjs ${tf.version["tfjs-core"]} (${tf.getBackend()}), @vladmandic/human 3.3.6`,
    embedding,
  }),
);
const mean = embedding.reduce((sum, value) => sum + value, 0) / embedding.length;
console.log(embedding.length, "mean", mean, "max", Math.max(...embedding), "zeros", embedding.filter((v) => v === 0).length);
