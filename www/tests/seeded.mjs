// Weights files with numbers that have no pattern, for tests that bring a network of their own.

/** Names and shapes of parameters. @typedef {Record<string, number[]>} Shapes */

/**
 * A safetensors file of seeded numbers in these shapes: weights small enough that sums neither vanish nor grow, those of norms
 * around one.
 *
 * @param {Shapes} shapes
 * @param {Record<string, string>} metadata
 */
export function safetensors(shapes, metadata) {
  const header = { __metadata__: metadata };
  const parts = [];
  let [start, state] = [0, 1];
  for (const [name, shape] of Object.entries(shapes)) {
    const count = shape.reduce((product, side) => product * side, 1);
    const scale = shape.length > 1 ? Math.sqrt(3 / (count / shape[0])) : 0.2;
    const centre = /norm(\d|_before|_after)?\.weight$/.test(name) ? 1 : 0;
    const values = Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return centre + scale * (state / 2 ** 31 - 1);
    });
    header[name] = { dtype: "F32", shape, data_offsets: [start, start + values.byteLength] };
    start += values.byteLength;
    parts.push(Buffer.from(values.buffer));
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}

/**
 * Adds a layer: its weight, and a bias for each output.
 *
 * @param {Shapes} shapes
 * @param {string} name
 * @param {...number} shape
 */
export function layer(shapes, name, ...shape) {
  Object.assign(shapes, { [`${name}.weight`]: shape, [`${name}.bias`]: shape.slice(0, 1) });
}

/** The parameters of R3D-18 with so many channels in its stem; 64 as published. @param {number} stem */
export function r3d(stem) {
  /** @type {Shapes} */
  const shapes = {};
  layer(shapes, "stem.0", stem, 3, 3, 7, 7);
  let inputs = stem;
  [1, 2, 4, 8].forEach((multiple, stage) => {
    const outputs = multiple * stem;
    for (const block of [0, 1]) {
      const place = `layer${stage + 1}.${block}`;
      layer(shapes, `${place}.conv1.0`, outputs, inputs, 3, 3, 3);
      layer(shapes, `${place}.conv2.0`, outputs, outputs, 3, 3, 3);
      if (inputs !== outputs) layer(shapes, `${place}.downsample.0`, outputs, inputs, 1, 1, 1);
      inputs = outputs;
    }
  });
  return shapes;
}

/**
 * The parameters of a VideoMAE over tubes of two frames.
 *
 * @param {{ patch: number, width: number, layers: number, hidden: number }} sizes
 */
export function videomae({ patch, width, layers, hidden }) {
  /** @type {Shapes} */
  const shapes = {};
  layer(shapes, "embeddings.patch_embeddings.projection", width, 3, 2, patch, patch);
  for (let index = 0; index < layers; index++) {
    const place = `encoder.layer.${index}`;
    for (const part of ["attention.query", "attention.key", "attention.value", "output.dense"]) {
      layer(shapes, `${place}.attention.${part}`, width, width, 1, 1);
    }
    layer(shapes, `${place}.layernorm_before`, width);
    layer(shapes, `${place}.layernorm_after`, width);
    layer(shapes, `${place}.intermediate.dense`, hidden, width, 1, 1);
    layer(shapes, `${place}.output.dense`, width, hidden, 1, 1);
  }
  return shapes;
}
