// The page's pure parts, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ReportLog, expressionNames, toCsv, toJsonLines } from "../src/log.js";
import { Stats, quantile } from "../src/stats.js";

const face = (id, label) => ({
  id,
  box: [1, 2, 3, 4],
  score: 0.5,
  expression: { label, confidence: 0.75, source: "head", probabilities: { neutral: 0.25, [label]: 0.75 } },
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

test("CSV has one row a face, every known expression a column, and quotes what needs it", () => {
  const reports = [report(0, [face(0, "anger"), face(1, "fear")]), report(40), report(80, [face(0, "fear")])];
  assert.deepEqual(expressionNames(reports), ["neutral", "anger", "fear"]);
  assert.equal(
    toCsv(reports, 'my "clip", 1.mp4'),
    `file,frame,time_ms,id,x,y,width,height,score,label,confidence,source,neutral,anger,fear
"my ""clip"", 1.mp4",0,0,0,1,2,3,4,0.5,anger,0.75,head,0.25,0.75,
"my ""clip"", 1.mp4",0,0,1,1,2,3,4,0.5,fear,0.75,head,0.25,,0.75
"my ""clip"", 1.mp4",2,80,0,1,2,3,4,0.5,fear,0.75,head,0.25,,0.75
`,
  );
});

test("JSON lines are read back as they were", () => {
  const reports = [report(0, [face(0, "anger")]), report(40)];
  const lines = toJsonLines(reports).trim().split("\n");
  assert.deepEqual(lines.map((line) => JSON.parse(line)), reports);
});
