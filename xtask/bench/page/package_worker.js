// @ts-check
/// <reference lib="webworker" />
// The package's own worker, under the meter; what it counts is asked for over a channel.

import { meter } from "./meter.js";
import "/affectlens/worker.js";

const channel = new BroadcastChannel("meter");
let device = "";
// The package's own listener answers it; this one only remembers which device it is about.
self.addEventListener("message", ({ data }) => {
  if (data.request?.kind === "load") device = data.request.device;
});
channel.addEventListener("message", ({ data }) => {
  if (!data.counts && data.device === device) channel.postMessage({ device, counts: meter() });
});
