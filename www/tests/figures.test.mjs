// The page's pure parts, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { toJsonLines } from "../../pkg-config/affectlens/export.js";
import { signed } from "../src/format.js";
import { ReportLog } from "../src/log.js";
import { actionUnitNames, expressionNames } from "../src/names.js";
import { TRAIL_MS, placeOf, trailOf } from "../src/plane.js";
import { describeSound, meterOf } from "../src/sound.js";
import { speechState } from "../src/speech.js";
import { Stats, quantile } from "../src/stats.js";
import { describeStretches, finalUpTo, stretchesAbove } from "../src/stretches.js";
import { describeUnits } from "../src/units.js";
import { VIEWS, pointsOf, strongestUnits } from "../src/views.js";
import { describeViolence } from "../src/violence.js";

const face = (id, label) => ({
  id,
  box: [1, 2, 3, 4],
  score: 0.5,
  expression: { label, confidence: 0.75, source: "head", probabilities: { neutral: 0.25, [label]: 0.75 } },
});
/** A face without an expression. */
const at = (id, valence, arousal, action_units) => ({
  id,
  box: [1, 2, 3, 4],
  score: 0.5,
  valence,
  arousal,
  action_units,
  sources: {
    valence_arousal: { source: "derived" },
    ...(action_units && { action_units: { source: "blendshapes", proxies: ["AU6"] } }),
  },
});
const report = (time_ms, faces = []) => ({ frame: time_ms / 40, time_ms, faces });
/** A report as the lens gives it; updates are pairs of time and probability, and whether it is final. */
const violent = (time_ms, updates = [], faces = []) => ({
  ...report(time_ms, faces),
  violence: {
    probability: updates.at(-1)?.[1] ?? 0,
    violent: false,
    delay_ms: 80,
    updates: updates.map(([time_ms, probability, final = false]) => ({ frame: time_ms / 40, time_ms, probability, final })),
  },
});
const estimates = (log) => log.reports.map(({ violence }) => violence);
const times = (log) => log.reports.map(({ time_ms }) => time_ms);

test("quantiles are the nearest rank", () => {
  assert.equal(quantile([], 0.5), undefined);
  assert.equal(quantile([7], 0.95), 7);
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2);
  assert.equal(quantile(Array.from({ length: 100 }, (_, index) => index + 1), 0.95), 95);
});

test("the rate is that of the last seconds", () => {
  const stats = new Stats();
  assert.equal(stats.rate, undefined);
  for (let index = 0; index < 10; index++) stats.add(5, index * 1000, index % 2 === 0);
  assert.equal(stats.rate, 1);
  stats.add(5, 60_000, true);
  assert.equal(stats.rate, undefined);
  assert.deepEqual([stats.analysed, stats.withFace], [11, 6]);
});

test("reports lie in the order of time, whatever order they came in", () => {
  const log = new ReportLog();
  for (const time of [0, 80, 40, 40]) log.add(report(time));
  assert.deepEqual(times(log), [0, 40, 80]);
});

test("looking again at a stretch replaces what was said about it", () => {
  const log = new ReportLog();
  for (const time of [0, 40, 80, 120, 160]) log.add(report(time));
  log.add(report(130), 30);
  assert.deepEqual(times(log), [0, 130, 160]);
});

test("the nearest report is found within reach only", () => {
  const log = new ReportLog();
  for (const time of [0, 100]) log.add(report(time));
  assert.equal(log.nearest(49, 60)?.time_ms, 0);
  assert.equal(log.nearest(51, 60)?.time_ms, 100);
  assert.equal(log.nearest(200, 60), undefined);
  assert.equal(new ReportLog().nearest(0, 60), undefined);
});

test("a stretch of the log is open at its start and closed at its end", () => {
  const log = new ReportLog();
  for (const time of [0, 40, 80, 120]) log.add(report(time));
  assert.deepEqual(log.between(40, 80).map(({ time_ms }) => time_ms), [80]);
  assert.deepEqual(log.between(-4000, 0).map(({ time_ms }) => time_ms), [0]);
});

test("the log keeps no points of a mesh, and leaves the report that it was given alone", () => {
  const log = new ReportLog();
  const given = report(0, [{ ...face(0, "anger"), landmarks: [[1, 2, 3]] }]);
  log.add(given);
  assert.deepEqual(log.reports, [report(0, [face(0, "anger")])]);
  assert.equal(given.faces[0].landmarks.length, 1);
  assert.doesNotMatch(toJsonLines(log.reports, { threshold: 0.5 }), /landmarks/);
});

test("JSON lines are read back as they were; what could still have changed says so", () => {
  const reports = [report(0, [face(0, "anger")]), report(40)];
  const lines = (reports) => toJsonLines(reports, { threshold: 0.5 }).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines(reports), reports);
  const log = new ReportLog();
  for (const time of [0, 40, 80]) log.add(violent(time, [[0, 0.5, true], [40, 0.25]]));
  assert.deepEqual(lines(log.reports), [
    { ...report(0), violence: { probability: 0.5, violent: true } },
    { ...report(40), violence: { probability: 0.25, violent: false, final: false } },
    report(80),
  ]);
});

test("estimates of violence are refined backwards, and only those of frames that are kept", () => {
  const log = new ReportLog();
  log.add({ ...report(0), violence: { warming_up_ms: 80 } });
  log.add(violent(40));
  const before = log.reports[0];
  log.add(violent(80, [[-40, 1], [0, 0.5], [20, 1], [80, 0.25]]));
  assert.deepEqual(estimates(log), [{ probability: 0.5, final: false }, undefined, { probability: 0.25, final: false }]);
  assert.equal(before.violence, undefined, "who holds an older report sees no change");
  log.add(violent(120, [[0, 0.75, true]]));
  assert.deepEqual(estimates(log)[0], { probability: 0.75, final: true });
});

test("the same frame keeps its estimate when it is looked at again, a stretch that is replaced does not", () => {
  const log = new ReportLog();
  for (const time of [0, 40]) log.add(violent(time, [[time, 0.5]]));
  log.add({ ...report(40), violence: { warming_up_ms: 80 } });
  assert.deepEqual(estimates(log)[1], { probability: 0.5, final: false });
  log.add({ ...report(50), violence: { warming_up_ms: 80 } }, -1);
  assert.deepEqual(estimates(log), [undefined]);
});

test("stretches reach from the first frame at the threshold to the next one below, over frames without estimates", () => {
  const track = (...pairs) => pairs.map(([time_ms, probability]) => ({ ...report(time_ms), violence: { probability, final: time_ms < 400 } }));
  const reports = [...track([0, 0.4], [100, 0.5], [200, 0.9]), report(250), ...track([300, 0.1], [400, 0.6])];
  assert.deepEqual(stretchesAbove(reports, 0.5), [{ startMs: 100, endMs: 300 }, { startMs: 400, endMs: 400 }]);
  assert.deepEqual(stretchesAbove(reports, 0), [{ startMs: 0, endMs: 400 }]);
  assert.deepEqual(stretchesAbove(reports, 0.95), []);
  assert.equal(finalUpTo(reports), 300);
  // Nobody looked for a while: neither one stretch, nor one that lasts until then.
  const jump = track([0, 0.9], [200, 0.9], [5000, 0.9], [5200, 0.9], [9000, 0.1]);
  assert.deepEqual(stretchesAbove(jump, 0.5), [{ startMs: 0, endMs: 200 }, { startMs: 5000, endMs: 5200 }]);
  assert.equal(describeStretches(jump, 0.5), "At or above 50 %, hatched: 0.0–0.2 s, 5.0–5.2 s.");
  assert.equal(describeStretches(jump, 0.95), "Nowhere at or above 95 %.");
  assert.equal(describeStretches([report(0)], 0.5), "No estimate yet.");
  const many = track(...Array.from({ length: 12 }, (_, index) => [index * 1000, index % 2]));
  assert.equal(describeStretches(many, 0.5), "At or above 50 %, hatched: 5.0–6.0 s, 7.0–8.0 s, 9.0–10.0 s, 11.0 s, and 2 before.");
});

test("the panel of violence warms up, tells a number with its delay, and needs more than a picture", () => {
  const facts = { backbone: "efficientnet-lite0", head: "temporal-tcn", length: 16, framesPerSecond: 4, spanMs: 3750 };
  const at = (violence, others) => describeViolence(violence, { facts, threshold: 0.5, isStill: false, ...others });
  const window = "Each estimate is made from 16 frames, 4 per second: the last 3.8 s.";
  assert.deepEqual(at(undefined), { summary: "Nothing analysed yet.", delay: "", window });
  const warm = { summary: "Warming up: 1.3 s until the first estimate.", delay: "", window, warmUp: 1 - 1250 / 3750 };
  assert.deepEqual(at({ warming_up_ms: 1250 }), warm);
  assert.equal(at({ warming_up_ms: 4000 }).warmUp, 0);
  assert.equal(at({ warming_up_ms: 4000 }, { facts: null }).warmUp, 0);
  const calm = at({ probability: 0.07, violent: false, delay_ms: 1875, updates: [] });
  assert.deepEqual([calm.summary, calm.delay], ["Not classified as violent: below the threshold of 50 %.", "Later frames may still change it for 1.9 s."]);
  assert.deepEqual(calm.row, { key: "violence", name: "violence", share: 0.07, text: "7 %", isMarked: false });
  const marked = at({ probability: 0.5, final: true });
  assert.deepEqual([marked.summary, marked.delay, marked.row.isMarked], ["Classified as violent: at or above the threshold of 50 %.", "", true]);
  assert.equal(at({ warming_up_ms: 1250 }, { isStill: true }).summary, "A single picture shows no motion: this needs a video.");
});

test("the panel of violence warns of too few frames, and tells the window as it is", () => {
  const facts = { backbone: "efficientnet-lite0", head: "temporal-tcn", length: 16, framesPerSecond: 8, spanMs: 1875 };
  const at = (violence, others) => describeViolence(violence, { facts, threshold: 0.5, isStill: false, ...others });
  const estimate = (window) => ({ probability: 0.07, violent: false, delay_ms: 18750, updates: [], window });
  const usual = at(estimate({ span_ms: 1920, frames_per_second: 7.8125 }));
  assert.equal(usual.summary, "Not classified as violent: below the threshold of 50 %.");
  assert.equal(usual.window, "Each estimate is made from 16 frames, 8 per second: the last 1.9 s.");
  const window = { span_ms: 18750, frames_per_second: 0.8, too_slow: true };
  const warning = " Unreliable: the network needs 8 frames per second, 0.8 are analysed.";
  const slow = at(estimate(window));
  assert.equal(slow.summary, `${usual.summary}${warning}`);
  assert.equal(slow.window, "Each estimate is made from 16 frames, now 0.8 per second: the last 18.8 s.");
  const warming = at({ warming_up_ms: 17500, window });
  assert.deepEqual([warming.summary, warming.window], [`Warming up: 17.5 s until the first estimate.${warning}`, slow.window]);
  assert.match(at(estimate(window), { facts: { ...facts, framesPerSecond: null } }).summary, /needs more frames per second/);
  assert.equal(at(estimate(window), { facts: null }).window, "");
});

test("lines, trails and stretches are broken where a new stream begins, and where it ends in older reports", () => {
  const steady = { probability: 0.9, final: true };
  const numbered = (frame, time_ms, restarted) => ({
    ...{ frame, time_ms, faces: [at(0, 0, 0)], violence: steady },
    ...(restarted && { restarted }),
  });
  // A clip that loops: the second time round has come to 80 ms.
  const reports = [numbered(50, 0, true), numbered(51, 40), numbered(52, 80), numbered(3, 120), numbered(4, 160)];
  assert.deepEqual(pointsOf(reports).map(({ seconds, report }) => [seconds, report?.frame]), [
    ...[[0, 50], [0.04, 51], [0.08, 52]],
    ...[[0.1, undefined], [0.12, 3], [0.16, 4]],
  ]);
  assert.equal(trailOf(reports, 0, 160).length, 3);
  assert.deepEqual(stretchesAbove(reports, 0.5), [{ startMs: 0, endMs: 80 }, { startMs: 120, endMs: 160 }]);
  const jumped = [numbered(7, 960), numbered(8, 1000, true)];
  assert.equal(pointsOf(jumped).length, 3);
  assert.deepEqual(trailOf(jumped, 0, 1000), []);
});

test("where a new stream begins, what lies before it stays", () => {
  const log = new ReportLog();
  for (const time of [0, 40, 80, 120]) log.add(report(time));
  log.add({ ...report(100), frame: 4, restarted: true }, 0);
  assert.deepEqual(times(log), [0, 40, 80, 100, 120]);
  assert.match(toJsonLines(log.reports, { threshold: 0.5 }), /"restarted":true/);
});

test("signed numbers have a sign unless they are shown as nought", () => {
  assert.deepEqual([0.314, -0.5, -0.004, 0, 1].map(signed), ["+0.31", "−0.50", "0.00", "0.00", "+1.00"]);
});

test("pleasant is right, excited is up, and a face without numbers has no place", () => {
  assert.deepEqual(placeOf(at(0, 1, 1)), { x: 300, y: 0 });
  assert.deepEqual(placeOf(at(0, -1, -1)), { x: 0, y: 300 });
  assert.equal(placeOf(face(0, "anger")), undefined);
  assert.equal(placeOf(undefined), undefined);
});

test("a trail fades with age, and is broken where the face was lost", () => {
  const reports = [
    report(1000, [at(0, 0, 0)]),
    report(2000, [at(1, 1, 1), at(0, 1, 0)]),
    report(3000, [at(1, 1, 1)]),
    report(4000, [at(0, 0, 1)]),
    report(5000, [at(0, -1, 0)]),
  ];
  assert.deepEqual(trailOf(reports, 0, 5000), [
    { from: { x: 150, y: 150 }, to: { x: 300, y: 150 }, age: 3000 / TRAIL_MS },
    { from: { x: 150, y: 0 }, to: { x: 0, y: 150 }, age: 0 },
  ]);
  assert.deepEqual(trailOf(reports, undefined, 5000), []);
});

test("action units are named and ordered; proxies and what a head calls present are marked", () => {
  const { source, rows } = describeUnits(at(0, 0, 0, { AU12: 0.876, AU6: 0.5 }));
  assert.match(source, /face mesh/);
  assert.deepEqual(rows, [
    { key: "AU6", name: "AU6", words: "cheek raiser", note: "stands for: smile × eye squint", share: 0.5, text: "0.50", isMarked: false },
    { key: "AU12", name: "AU12", words: "lip corner puller", note: "", share: 0.876, text: "0.88", isMarked: false },
  ]);
  const head = { ...at(0, 0, 0, { AU1: 0.2 }), sources: { action_units: { source: "head", present: ["AU1"] } } };
  assert.match(describeUnits(head).source, /trained on action units/);
  assert.deepEqual([describeUnits(head).rows[0].isMarked, describeUnits(head).rows[0].note], [true, "present"]);
  assert.deepEqual(describeUnits(at(0, 0, 0)), { source: "No mesh found on this face.", rows: [] });
  assert.deepEqual(describeUnits(undefined), { source: "No face yet.", rows: [] });
});

test("the timeline names the strongest units of the chosen face", () => {
  const reports = [
    report(0, [at(0, 0, 0, { AU1: 0.1, AU2: 0.2, AU10: 0.9, AU12: 0 }), at(1, 0, 0, { AU12: 1 })]),
    report(40, [at(0, 0, 0, { AU1: 0.3, AU2: 0.1, AU10: 0, AU12: 0 })]),
    report(80, [at(0, 0, 0)]),
  ];
  assert.deepEqual(strongestUnits(reports, 0, 2), ["AU1", "AU10"]);
  assert.deepEqual(strongestUnits(reports, 7, 2), []);
  const lines = VIEWS["action-units"].lines(reports, 0);
  assert.deepEqual(lines.map(({ label }) => label), ["AU1 inner brow raiser", "AU2 outer brow raiser", "AU10 upper lip raiser", "AU12 lip corner puller"]);
});

test("lines are broken where nobody looked for a while", () => {
  const [first, second, third] = [report(0), report(2000), report(6000)];
  assert.deepEqual(pointsOf([first, second, third]), [
    { seconds: 0, report: first },
    { seconds: 2, report: second },
    { seconds: 4 },
    { seconds: 6, report: third },
  ]);
  assert.deepEqual(pointsOf([third]), [{ seconds: 6, report: third }]);
});

test("every view stands a face of which nothing is said", () => {
  const bare = { id: 0, box: [1, 2, 3, 4], score: 0.5 };
  for (const { lines, value } of Object.values(VIEWS)) {
    for (const { key } of [...lines([report(0, [bare])], 0), { key: "valence" }]) {
      for (const found of [bare, undefined]) assert.equal(value(report(0, [bare]), found, key), undefined);
    }
  }
});

test("speech begins above a half and ends below a third, and is unknown where nothing is heard", () => {
  const course = (...values) => values.reduce((states, speech) => [...states, speechState(speech, states.at(-1))], ["unknown"]).slice(1);
  assert.deepEqual(course(0.45, 0.5, 0.45, 0.3, 0.45), ["quiet", "speech", "speech", "quiet", "quiet"]);
  assert.deepEqual(course(0.9, undefined, 0.4), ["speech", "unknown", "quiet"]);
});

test("the meter goes by ratios, from a thousandth to the loudest", () => {
  assert.deepEqual([0, 0.0005, 0.001, 1, 2].map(meterOf), [0, 0, 0, 1, 1]);
  assert.ok(Math.abs(meterOf(0.1) - 2 / 3) < 1e-9);
});

test("the switch says what it listens to, and what it waits for", () => {
  assert.match(describeSound("off", "clip"), /^plays its sound/);
  assert.equal(describeSound("waiting", "still"), "a picture has no sound");
  assert.equal(describeSound("waiting", "nothing"), "waits for the camera or a clip");
  assert.equal(describeSound("on", "camera"), "the microphone is on");
  assert.equal(describeSound("silent", "clip"), "this clip has no sound");
});
