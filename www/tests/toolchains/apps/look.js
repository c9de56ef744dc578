// What every page of the toolchains does: analyses one picture, and leaves what came of it where a test finds it.

import { load } from "affectlens";
import weights from "affectlens-weights";

export async function look() {
  const { dataset } = document.documentElement;
  try {
    const lens = await load({ weights, device: "cpu", threads: 2 });
    const picture = await fetch("/face.png");
    const report = await lens.analyze(await picture.blob(), { timeMs: 0, single: true });
    const { device, requestsAfterLoad } = lens;
    lens.dispose();
    dataset.outcome = JSON.stringify({ report, cpu: device.cpu, requestsAfterLoad });
  } catch (error) {
    dataset.outcome = JSON.stringify({ code: error.code, message: error.message });
  }
}
