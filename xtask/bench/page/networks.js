// @ts-check
// Single networks: keeps a worker for each engine, and passes requests on to it.

/** @type {Map<string, { ask: (request: object) => Promise<any>, close: () => void }>} */
const workers = new Map();

/** @param {string} name */
function start(name) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { name });
  /** @type {{ resolve: (value: any) => void, reject: (error: Error) => void } | undefined} */
  let waiting;
  worker.addEventListener("message", ({ data: { value, failure } }) => {
    if (failure !== undefined) waiting?.reject(new Error(`${name}: ${failure}`));
    else waiting?.resolve(value);
  });
  worker.addEventListener("error", ({ message }) => waiting?.reject(new Error(`${name}: ${message}`)));
  return {
    ask: (/** @type {object} */ request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        worker.postMessage(request);
      }),
    close: () => worker.terminate(),
  };
}

/**
 * Opens a network in a fresh worker; gives the milliseconds from there to its first output.
 *
 * @param {{ name: string, engine: string, device: string, threads: number, model: string, input: string, shape: number[] }} plan
 */
export async function open({ name, engine, device, threads, model, input, shape }) {
  close(name);
  const [modelBytes, inputBytes] = await Promise.all([read(model), read(input)]);
  const values = shape.reduce((product, side) => product * side, 1);
  const worker = start(name);
  workers.set(name, worker);
  const request = {
    kind: "open",
    engine,
    device,
    threads,
    model: new Uint8Array(modelBytes),
    input: new Float32Array(inputBytes, 0, values).slice(),
    shape,
  };
  return (await worker.ask(request)).firstMs;
}

/** @param {string} name @param {object} request */
export function ask(name, request) {
  const worker = workers.get(name);
  if (!worker) throw new Error(`${name} is not open`);
  return worker.ask(request);
}

/** @param {string} name */
export function close(name) {
  workers.get(name)?.close();
  workers.delete(name);
}

/** @param {string} url */
async function read(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.arrayBuffer();
}
