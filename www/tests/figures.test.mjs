// The page's pure parts, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { signed } from "../src/format.js";
import { ReportLog, actionUnitNames, expressionNames, toCsv, toJsonLines } from "../src/log.js";
import { fit } from "../src/overlay.js";
import { TRAIL_MS, placeOf, trailOf } from "../src/plane.js";
import { Stats, quantile } from "../src/stats.js";
import { describeUnits } from "../src/units.js";
import { VIEWS, strongestUnits } from "../src/views.js";

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
  assert.doesNotMatch(toJsonLines(log.reports), /landmarks/);
});

test("CSV has one row a face, every known expression a column, and quotes what needs it", () => {
  const reports = [report(0, [face(0, "anger"), face(1, "fear")]), report(40), report(80, [face(0, "fear")])];
  assert.deepEqual(expressionNames(reports), ["neutral", "anger", "fear"]);
  assert.equal(
    toCsv(reports, 'my "clip", 1.mp4'),
    `file,frame,time_ms,id,x,y,width,height,score,label,confidence,source,neutral,anger,fear,valence,arousal,valence_arousal_source,action_units_source
"my ""clip"", 1.mp4",0,0,0,1,2,3,4,0.5,anger,0.75,head,0.25,0.75,,,,,
"my ""clip"", 1.mp4",0,0,1,1,2,3,4,0.5,fear,0.75,head,0.25,,0.75,,,,
"my ""clip"", 1.mp4",2,80,0,1,2,3,4,0.5,fear,0.75,head,0.25,,0.75,,,,
`,
  );
});

test("CSV has the action units that occur by number, and empty fields for what is not known", () => {
  const mesh = at(0, 0.5, -0.25, { AU12: 1, AU2: 0, AU10: 0.5 });
  const reports = [report(0, [mesh, { ...face(1, "fear"), valence: 0, arousal: 0 }])];
  assert.deepEqual(actionUnitNames(reports), ["AU2", "AU10", "AU12"]);
  const [header, ...rows] = toCsv(reports, "a").trim().split("\n").map((row) => row.split(",").slice(9));
  const names = ["valence", "arousal", "valence_arousal_source", "action_units_source", "AU2", "AU10", "AU12"];
  assert.deepEqual(header, ["label", "confidence", "source", "neutral", "fear", ...names]);
  assert.deepEqual(rows[0], ["", "", "", "", "", "0.5", "-0.25", "derived", "blendshapes", "0", "0.5", "1"]);
  assert.deepEqual(rows[1], ["fear", "0.75", "head", "0.25", "0.75", "0", "0", "", "", "", "", ""]);
});

test("JSON lines are read back as they were", () => {
  const reports = [report(0, [face(0, "anger")]), report(40)];
  const lines = toJsonLines(reports).trim().split("\n");
  assert.deepEqual(lines.map((line) => JSON.parse(line)), reports);
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
  const { says, rows } = describeUnits(at(0, 0, 0, { AU12: 0.876, AU6: 0.5 }));
  assert.match(says, /face mesh/);
  assert.deepEqual(rows, [
    { key: "AU6", name: "AU6", words: "cheek raiser", note: "stands for: smile × eye squint", share: 0.5, text: "0.50", isMarked: false },
    { key: "AU12", name: "AU12", words: "lip corner puller", note: "", share: 0.876, text: "0.88", isMarked: false },
  ]);
  const head = { ...at(0, 0, 0, { AU1: 0.2 }), sources: { action_units: { source: "head", present: ["AU1"] } } };
  assert.match(describeUnits(head).says, /trained on action units/);
  assert.deepEqual([describeUnits(head).rows[0].isMarked, describeUnits(head).rows[0].note], [true, "present"]);
  assert.deepEqual(describeUnits(at(0, 0, 0)), { says: "No mesh found on this face.", rows: [] });
  assert.deepEqual(describeUnits(undefined), { says: "No face yet.", rows: [] });
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

test("every view stands a face of which nothing is said", () => {
  const bare = { id: 0, box: [1, 2, 3, 4], score: 0.5 };
  for (const { lines, value } of Object.values(VIEWS)) {
    for (const { key } of [...lines([report(0, [bare])], 0), { key: "valence" }]) assert.equal(value(bare, key), undefined);
  }
});

test("points lie on the stage as the picture does, mirrored for the camera", () => {
  const picture = { width: 100, height: 50, isMirrored: false };
  const stage = { width: 200, height: 200 };
  assert.deepEqual(fit(picture, stage).place(10, 0), [20, 50]);
  assert.deepEqual(fit({ ...picture, isMirrored: true }, stage).place(10, 50), [180, 150]);
});
