// The packed packages as a stranger gets them: installed by name, imported in Node, compiled against.
//
// AFFECTLENS_TARBALL and AFFECTLENS_WEIGHTS_TARBALL name the tarballs; see www/tests/harness.mjs for the defaults.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { before, test } from "node:test";

import { readJson, scratch, tarballs } from "../../www/tests/harness.mjs";

const www = resolve(import.meta.dirname, "../../www");
const folder = scratch();
const installed = (name) => join(folder, "node_modules", name);

before(() => {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "stranger", private: true, type: "module" }));
  const options = ["--no-audit", "--no-fund", "--offline", "--ignore-scripts"];
  execFileSync("npm", ["install", ...options, tarballs.library, tarballs.weights], { cwd: folder, stdio: "pipe" });
});

/** Runs a module in the stranger's folder; gives what it prints, read as JSON. */
function runModule(source) {
  const { stdout, stderr, status } = spawnSync("node", ["--input-type=module", "--eval", source], {
    cwd: folder,
    encoding: "utf8",
    timeout: 30_000,
  });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

test("the package is imported by name in Node without a browser", () => {
  const names = runModule(`console.log(JSON.stringify(Object.keys(await import("affectlens"))))`);
  assert.deepEqual(names.sort(), ["AffectLensError", "CONNECTIONS", "KEYPOINTS", "load"]);
});

test("every module is imported by name in Node, and what it does needs no browser or says so", () => {
  const seen = runModule(`
    const names = {};
    for (const name of ["camera", "draw", "element", "export", "file", "inline", "microphone", "watch"]) {
      names[name] = Object.keys(await import("affectlens/" + name)).sort();
    }
    const { toCsv } = await import("affectlens/export");
    const { openCamera } = await import("affectlens/camera");
    const refused = await openCamera().catch(({ name, code }) => [name, code]);
    console.log(JSON.stringify({ names, csv: toCsv([{ frame: 0, time_ms: 0, faces: [] }]), refused }));
  `);
  assert.deepEqual(seen.names, {
    camera: ["listCameras", "openCamera"],
    draw: ["draw", "drawBoxes", "drawLabels", "drawMesh", "drawSkeletons", "fitPicture", "openSurface"],
    element: ["AffectLensElement"],
    export: ["toCsv", "toJsonLines"],
    file: ["analyzeFile"],
    inline: ["AffectLensError", "CONNECTIONS", "KEYPOINTS", "load"],
    microphone: ["openMicrophone"],
    watch: ["watch"],
  });
  assert.equal(seen.csv, "file,frame,time_ms,id,x,y,width,height,score\n,0,0,,,,,,\n");
  assert.deepEqual(seen.refused, ["AffectLensError", "unsupported"]);
});

test("loading outside a browser is refused before anything else, and it is said where to call it", () => {
  const refusals = runModule(`
    import { AffectLensError, load } from "affectlens";
    const refusal = async (options, names = []) => {
      // Deno and Bun have some of what Node lacks.
      for (const name of names) globalThis[name] = class {};
      const error = await load(options).catch((error) => error);
      for (const name of names) delete globalThis[name];
      return { isOurs: error instanceof AffectLensError, code: error.code, message: error.message };
    };
    console.log(JSON.stringify([
      await refusal(),
      await refusal({ weights: "https://example.invalid/weights/" }),
      await refusal({ tasks: "wrong", wasmUrl: "::" }),
      await refusal(null),
      await refusal(undefined, ["Worker", "createImageBitmap"]),
    ]));
  `);
  for (const { isOurs, code, message } of refusals) {
    assert.deepEqual([isOurs, code], [true, "unsupported"]);
    assert.match(message, /^affectlens runs in a browser: there is no .*OffscreenCanvas.* here; call `load` in the page itself/);
  }
  assert.match(refusals.at(-1).message, /there is no OffscreenCanvas here/);
});

test("every published entry resolves to a file, and inner files do not", () => {
  const entries = [
    "affectlens",
    ...["camera", "draw", "element", "export", "file", "inline", "microphone", "watch"].map((name) => `affectlens/${name}`),
    ...["worker", "cpu-worker", "listen-worklet"].flatMap((name) => [`affectlens/${name}`, `affectlens/${name}.js`]),
    ...["bg", "cpu_relaxed", "cpu_simd"].map((name) => `affectlens/affectlens_${name}.wasm`),
    "affectlens/package.json",
    "affectlens-weights",
    "affectlens-weights/manifest.json",
    "affectlens-weights/expression-mobilenet.safetensors",
    "affectlens-weights/package.json",
  ];
  const urls = runModule(`console.log(JSON.stringify(${JSON.stringify(entries)}.map((it) => import.meta.resolve(it))))`);
  for (const url of urls) assert.ok(existsSync(new URL(url)), `${url} is missing`);
  const inner = runModule(`
    import("affectlens/weights.js").catch(({ code }) => console.log(JSON.stringify(code)));
  `);
  assert.equal(inner, "ERR_PACKAGE_PATH_NOT_EXPORTED");
});

test("the library carries code, types and licence, and no weights", () => {
  const listed = execFileSync("tar", ["tzf", tarballs.library], { encoding: "utf8" }).trim().split("\n");
  // What entries share has names that tell one content from another.
  const names = new Set(listed.map((name) => name.replace(/-[A-Z0-9]{8}\.js$/, "-*.js")));
  assert.deepEqual(
    [...names].sort(),
    [
      "LICENSE",
      "README.md",
      "affectlens.js",
      "affectlens_bg.wasm",
      "affectlens_cpu_relaxed.wasm",
      "affectlens_cpu_simd.wasm",
      "browser.d.ts",
      "camera.d.ts",
      "camera.js",
      "chunk-*.js",
      "cpu-worker.js",
      "cpu.js",
      "draw.d.ts",
      "draw.js",
      "element.d.ts",
      "element.js",
      "export.d.ts",
      "export.js",
      "file-frames-*.js",
      "file.d.ts",
      "file.js",
      "index.d.ts",
      "index.js",
      "inline-engine.js",
      "inline.d.ts",
      "inline.js",
      "listen-worklet.js",
      "microphone.d.ts",
      "microphone.js",
      "names.d.ts",
      "package.json",
      "watch.d.ts",
      "watch.js",
      "worker.d.ts",
      "worker.js",
    ].map((name) => `package/${name}`),
  );
});

test("the worklet is one script, as bundlers that copy it need it", () => {
  assert.doesNotMatch(readFileSync(join(installed("affectlens"), "listen-worklet.js"), "utf8"), /\bimport\b|\bexport\b/);
});

test("both packages have the crate's version", () => {
  const crate = /^version = "(.+)"$/m.exec(readFileSync(resolve(www, "../Cargo.toml"), "utf8"))?.[1];
  for (const name of ["affectlens", "affectlens-weights"]) {
    assert.equal(readJson(join(installed(name), "package.json")).version, crate);
  }
  // Each names the other: the types of the weights are the library's.
  for (const [name, other] of [["affectlens", "affectlens-weights"], ["affectlens-weights", "affectlens"]]) {
    const { peerDependencies, peerDependenciesMeta } = readJson(join(installed(name), "package.json"));
    const readers = name === "affectlens" ? { mediabunny: "^1.61.0" } : {};
    assert.deepEqual(peerDependencies, { [other]: `^${crate}`, ...readers });
    for (const peer of Object.keys(peerDependencies)) assert.deepEqual(peerDependenciesMeta[peer], { optional: true });
  }
});

test("weights are what their manifest says", () => {
  const { files } = readJson(join(installed("affectlens-weights"), "manifest.json"));
  const roles = ["backbone", "blendshapes", "detector", "fullRangeDetector", "head", "mesh", "poseDetector", "poseLandmarks", "pretrained", "violenceBackbone", "violenceHead", "voice"];
  assert.deepEqual(Object.keys(files).sort(), roles);
  const exported = runModule(`
    import weights from "affectlens-weights";
    console.log(JSON.stringify(weights.files));
  `);
  for (const [role, { file, bytes, sha256 }] of Object.entries(files)) {
    const content = readFileSync(join(installed("affectlens-weights"), file));
    assert.equal(content.length, bytes, file);
    assert.equal(createHash("sha256").update(content).digest("hex"), sha256, file);
    assert.equal(exported[role].sha256, sha256);
    assert.ok(existsSync(new URL(exported[role].url)), exported[role].url);
  }
});

test("every weights file has its notice", () => {
  const notice = readFileSync(join(installed("affectlens-weights"), "NOTICE.md"), "utf8");
  const { files } = readJson(join(installed("affectlens-weights"), "manifest.json"));
  for (const { file } of Object.values(files)) assert.ok(notice.includes(`\`${file}\``), `${file} has no notice`);
});

/** What a consumer's compiler is told; the types of the packages are checked too. */
const STRICT = { noEmit: true, skipLibCheck: false, strict: true, target: "es2022", types: [] };
const PAGE = ["es2022", "dom"];

for (const { consumer, module, lib } of [
  { consumer: "consumer.ts.txt", module: "bundler", lib: PAGE },
  { consumer: "consumer.ts.txt", module: "node16", lib: PAGE },
  { consumer: "consumer.ts.txt", module: "nodenext", lib: PAGE },
  { consumer: "worker.ts.txt", module: "bundler", lib: ["es2022", "webworker"] },
]) {
  test(`types hold for a TypeScript user with ${module} resolution and the library ${lib.at(-1)}`, () => {
    const project = join(folder, `${module}-${lib.at(-1)}`);
    mkdirSync(project, { recursive: true });
    writeFileSync(join(project, "consumer.ts"), readFileSync(join(import.meta.dirname, consumer)));
    const compilerOptions = { ...STRICT, lib, module: module === "bundler" ? "esnext" : module, moduleResolution: module };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    const compiler = join(www, "node_modules/.bin/tsc");
    const { stdout, status } = spawnSync(compiler, ["--project", project], { encoding: "utf8", timeout: 60_000 });
    assert.equal(status, 0, stdout);
  });
}

test("publint has nothing to say about the manifests", async () => {
  const { publint } = await import(createRequire(join(www, "package.json")).resolve("publint"));
  for (const name of ["affectlens", "affectlens-weights"]) {
    const { messages } = await publint({ pkgDir: installed(name), pack: false, level: "warning", strict: true });
    assert.deepEqual(messages, [], name);
  }
});

test("every way to import the packages finds the right types", () => {
  const attw = join(www, "node_modules/.bin/attw");
  // What is no script has none.
  const files = ["affectlens_bg.wasm", "affectlens_cpu_relaxed.wasm", "affectlens_cpu_simd.wasm", "*.safetensors", "NOTICE.md"];
  for (const tarball of Object.values(tarballs)) {
    const options = ["--profile", "esm-only", "--format", "ascii", "--exclude-entrypoints", ...files];
    const { stdout, stderr, status } = spawnSync(attw, [tarball, ...options], { encoding: "utf8", timeout: 180_000 });
    assert.equal(status, 0, stdout + stderr);
  }
});
