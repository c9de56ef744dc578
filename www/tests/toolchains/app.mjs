// A small app of a toolchain: its sources from `apps`, the toolchain itself at the versions that its package.json names, and
// the packed packages.

import { execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { env, kill } from "node:process";

import { cache, tarballs } from "../harness.mjs";

const sources = join(import.meta.dirname, "apps");
/** What the toolchains themselves need is not newer than their versions: nothing changes unless somebody changes it. */
const BEFORE = "2026-11-30";
/** Where node_modules comes from is kept between runs. */
const kept = join(cache, "toolchains");
const INSTALL_MS = 300_000;
const BUILD_MS = 300_000;
const START_MS = 120_000;
/** Neither questions nor reports about us. */
const QUIET = { CI: "1", NEXT_TELEMETRY_DISABLED: "1", NG_CLI_ANALYTICS: "false", PARCEL_WORKERS: "1" };

/** What `import ... from "affectlens"` is written as where a bundler leaves the package's files behind. */
const INLINE = [
  ['from "affectlens";', 'from "affectlens/inline";'],
  ['import weights from "affectlens-weights";', 'const weights = "/affectlens-weights/";'],
];

/**
 * Makes the app's folder anew; what was installed stays.
 *
 * @param {string} name folder in `apps`
 * @param {{ inline?: boolean, files: Record<string, string> }} wanted `files`: to be served, by name, and where they are
 */
export function makeApp(name, { inline = false, files }) {
  const folder = join(kept, name);
  mkdirSync(folder, { recursive: true });
  const installed = ["node_modules", "package.json", "package-lock.json"];
  for (const entry of readdirSync(folder)) if (!installed.includes(entry)) rmSync(join(folder, entry), { recursive: true });
  install(join(sources, name, "package.json"), folder);
  for (const shared of ["look.js", "main.js", "index.html"]) cpSync(join(sources, shared), join(folder, shared));
  cpSync(join(sources, name), folder, { recursive: true });
  if (inline) {
    const look = INLINE.reduce((text, [from, to]) => text.replace(from, to), readFileSync(join(folder, "look.js"), "utf8"));
    writeFileSync(join(folder, "look.js"), look);
  }
  const packages = { affectlens: tarballs.library, "affectlens-weights": tarballs.weights };
  for (const [name, tarball] of Object.entries(packages)) unpackInto(join(folder, "node_modules", name), tarball);
  const served = { ...files, ...(inline && { "affectlens-weights": join(folder, "node_modules/affectlens-weights") }) };
  for (const place of ["public", "static"]) placeFiles(served, join(folder, place));
  return { folder, served };
}

/** Copies what a page fetches beside it. */
export function placeFiles(files, folder) {
  mkdirSync(folder, { recursive: true });
  for (const [name, from] of Object.entries(files)) cpSync(from, join(folder, name), { recursive: true });
}

/** Installs what a package.json names, unless it is there. */
function install(manifest, folder) {
  const wanted = readFileSync(manifest, "utf8");
  const stamp = join(folder, "node_modules/.installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  rmSync(join(folder, "node_modules"), { recursive: true, force: true });
  writeFileSync(join(folder, "package.json"), wanted);
  const options = ["--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", `--before=${BEFORE}`];
  execFileSync("npm", ["install", ...options], { cwd: folder, stdio: "pipe", timeout: INSTALL_MS });
  writeFileSync(stamp, wanted);
}

function unpackInto(folder, tarball) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  execFileSync("tar", ["xzf", tarball, "--strip-components=1", "-C", folder]);
  // Dev servers keep what they made of the version before.
  for (const made of [".vite", ".vite-temp", ".cache"]) rmSync(join(folder, "..", made), { recursive: true, force: true });
}

/**
 * Runs a program of the toolchain to its end.
 *
 * @param {string} folder
 * @param {string[]} command program in node_modules/.bin, or `node`
 */
export function build(folder, [program, ...rest]) {
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, env: { ...env, ...QUIET }, timeout: BUILD_MS, maxBuffer: 2 ** 26 };
    execFile(programOf(folder, program), rest, options, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${rest.join(" ")}: ${error.message}\n${stdout}\n${stderr}`));
      else resolve(stdout + stderr);
    });
  });
}

/**
 * Starts a development server; gives its address once it answers.
 *
 * @param {string} folder
 * @param {string[]} command with `PORT` where the port's number belongs
 */
export async function startServer(folder, command) {
  const port = await freePort();
  const [program, ...rest] = command.map((word) => word.replace("PORT", String(port)));
  const child = spawn(programOf(folder, program), rest, { cwd: folder, env: { ...env, ...QUIET }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output = (output + text).slice(-20_000)));
  let isOver = false;
  child.on("exit", () => (isOver = true));
  // With all that it has started.
  const close = () => {
    try {
      kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  const url = `http://localhost:${port}/`;
  for (const until = Date.now() + START_MS; Date.now() < until && !isOver; ) {
    if (await fetch(url).then(({ ok }) => ok, () => false)) return { url, close, output: () => output };
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  close();
  throw new Error(`${command.join(" ")} does not answer:\n${output}`);
}

function programOf(folder, program) {
  return program === "node" ? process.execPath : join(folder, "node_modules/.bin", program);
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "localhost", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
