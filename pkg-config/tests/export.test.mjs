// Reports as files: the command line's columns, in Node.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { toCsv, toJsonLines } from "../affectlens/export.js";

/** The command line's own files, which a test of crates/cli/src/analyze/table.rs writes and checks. */
const [jsonLines, csv] = ["reports.jsonl", "reports.csv"].map((name) => readFileSync(join(import.meta.dirname, name), "utf8"));
const readLines = (text) => text.trim().split("\n").map((line) => JSON.parse(line));
const readRows = (text) => text.trim().split("\n").map((row) => row.split(","));

const face = (id, label) => ({
  id,
  box: [1, 2, 3, 4],
  score: 0.5,
  expression: { label, confidence: 0.75, source: "head", probabilities: { neutral: 0.25, [label]: 0.75 } },
});
const report = (time_ms, faces = []) => ({ frame: time_ms / 40, time_ms, faces });
/** A report as the lens gives it; updates are time, probability, and whether it is final. */
const violent = (time_ms, updates = [], faces = []) => ({
  ...report(time_ms, faces),
  violence: {
    probability: updates.at(-1)?.[1] ?? 0,
    violent: false,
    delay_ms: 80,
    updates: updates.map(([time_ms, probability, final = false]) => ({ frame: time_ms / 40, time_ms, probability, final })),
  },
});

test("the command line's reports give its table to the letter, and its lines again", () => {
  const reports = readLines(jsonLines);
  assert.equal(toCsv(reports, { file: "=1.mp4" }), csv);
  assert.deepEqual(readLines(toJsonLines(reports)), reports);
  assert.deepEqual(readLines(toJsonLines(reports, { file: "a.mp4" })), reports.map((report) => ({ file: "a.mp4", ...report })));
});

test("a table has columns of what reports tell of, or of the tasks that are named", () => {
  const header = (reports, options) => readRows(toCsv(reports, options))[0].slice(9);
  assert.deepEqual(header([report(0, [{ id: 0, box: [1, 2, 3, 4], score: 0.5 }])]), []);
  assert.deepEqual(header([report(0, [face(0, "fear")])]), ["label", "confidence", "source", "neutral", "fear"]);
  const tasks = ["expression", "valence-arousal", "action-units", "violence"];
  assert.deepEqual(header([report(0)], { tasks }), [
    ...["label", "confidence", "source", "valence", "arousal", "valence_arousal_source", "action_units_source"],
    ...["violence_probability", "violent"],
  ]);
  assert.equal(header([], { tasks: ["pose"] }).length, 1 + 33 * 4);
});

test("a table has one row a face, every known expression a column, and quotes what needs it", () => {
  const reports = [report(0, [face(0, "anger"), face(1, "fear")]), report(40), report(80, [face(0, "fear")])];
  assert.equal(
    toCsv(reports, { file: 'my "clip", 1.mp4' }),
    `file,frame,time_ms,id,x,y,width,height,score,label,confidence,source,neutral,anger,fear
"my ""clip"", 1.mp4",0,0,0,1,2,3,4,0.5,anger,0.75,head,0.25,0.75,
"my ""clip"", 1.mp4",0,0,1,1,2,3,4,0.5,fear,0.75,head,0.25,,0.75
"my ""clip"", 1.mp4",1,40,,,,,,,,,,,,
"my ""clip"", 1.mp4",2,80,0,1,2,3,4,0.5,fear,0.75,head,0.25,,0.75
`,
  );
});

test("action units stand by number, and what is not known is an empty field", () => {
  const mesh = { id: 0, box: [1, 2, 3, 4], score: 0.5, valence: 0.5, arousal: -0.25, action_units: { AU12: 1, AU2: 0, AU10: 0.5 } };
  const sources = { valence_arousal: { source: "derived" }, action_units: { source: "blendshapes", proxies: ["AU6"] } };
  const reports = [report(0, [{ ...mesh, sources }, { ...face(1, "fear"), valence: 0, arousal: 0 }])];
  const [header, ...rows] = readRows(toCsv(reports)).map((row) => row.slice(9));
  const names = ["valence", "arousal", "valence_arousal_source", "action_units_source", "AU2", "AU10", "AU12"];
  assert.deepEqual(header, ["label", "confidence", "source", "neutral", "fear", ...names]);
  assert.deepEqual(rows[0], ["", "", "", "", "", "0.5", "-0.25", "derived", "blendshapes", "0", "0.5", "1"]);
  assert.deepEqual(rows[1], ["fear", "0.75", "head", "0.25", "0.75", "0", "0", "", "", "", "", ""]);
});

test("each frame has the newest estimate of its violence, once a face or in a row without one", () => {
  const reports = [
    violent(0, [], [face(0, "anger"), face(1, "fear")]),
    violent(40, [[0, 0.25], [40, 0.5]]),
    violent(80, [[0, 0.75, true], [40, 0.5]]),
  ];
  const columns = readRows(toCsv(reports, { threshold: 0.5 }));
  assert.deepEqual(columns.map((row) => [row[2], row[3], ...row.slice(-2)]), [
    ["time_ms", "id", "violence_probability", "violent"],
    ["0", "0", "0.75", "true"],
    ["0", "1", "0.75", "true"],
    ["40", "", "0.5", "true"],
    ["80", "", "", ""],
  ]);
  const lines = readLines(toJsonLines(reports, { threshold: 0.6 }));
  assert.deepEqual(lines.map(({ violence }) => violence), [
    { probability: 0.75, violent: true },
    { probability: 0.5, violent: false, final: false },
    undefined,
  ]);
  assert.equal(reports[0].violence.updates.length, 0, "what is given stays as it is");
});

test("estimates are of the stream that they were made in, where a lens was reset between", () => {
  const first = violent(0, [[0, 0.25, true]]);
  const second = violent(0, [[0, 0.75, true]]);
  const lines = readLines(toJsonLines([first, second], { threshold: 0.5 }));
  assert.deepEqual(lines.map(({ violence }) => violence.probability), [0.25, 0.75]);
});

test("estimates that were kept keep what is known of them, and a threshold judges them anew", () => {
  const kept = [{ ...report(0), violence: { probability: 0.5, final: false } }, { ...report(40), violence: { probability: 0.5, violent: true } }];
  const told = (threshold) => readLines(toJsonLines(kept, { threshold })).map(({ violence }) => violence);
  assert.deepEqual(told(0.6), [{ probability: 0.5, violent: false, final: false }, { probability: 0.5, violent: false }]);
});

test("sound has columns where something was heard", () => {
  const heard = (time_ms, speech, faces) => ({ ...report(time_ms, faces), audio: { speech } });
  const reports = [report(0), heard(40, 0.75, [face(0, "anger"), face(1, "fear")]), report(80), heard(120, 0)];
  assert.deepEqual(readRows(toCsv(reports)).map((row) => [row[2], row[3], row.at(-1)]), [
    ["time_ms", "id", "speech"],
    ["0", "", ""],
    ["40", "0", "0.75"],
    ["40", "1", "0.75"],
    ["80", "", ""],
    ["120", "", "0"],
  ]);
  const told = [{ ...report(0), audio: { probabilities: { neutral: 0.25, other: 0.75 } } }, heard(40, 0.5)];
  assert.deepEqual(readRows(toCsv(told)).map((row) => row.slice(-3)), [["audio_neutral", "audio_other", "speech"], ["0.25", "0.75", ""], ["", "", "0.5"]]);
});

test("wrong options are refused, and violence without a threshold", () => {
  const refused = (reports, options, message) => assert.throws(() => toCsv(reports, options), { code: "bad-argument", message });
  refused([], { name: "a" }, 'options is "name", expected one of file, tasks, threshold');
  refused([], { file: 7 }, "file is 7, expected a text");
  refused([], { tasks: "pose" }, 'tasks is "pose", expected an array of task names');
  refused([], { threshold: 2 }, "threshold is 2, expected a number from 0 to 1");
  refused([violent(0, [[0, 0.5]])], {}, /^threshold is undefined, expected that of violence, `lens\.settings\.violence\.threshold`/);
});
