// Skeletons as they are drawn, and what the panel says of people, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CONNECTIONS, KEYPOINTS } from "affectlens";

import { toCsv, toJsonLines } from "../src/export.js";
import { ReportLog } from "../src/log.js";
import { describeAloud } from "../src/notices.js";
import { describeJoint, describePerson } from "../src/people.js";
import { drawSkeleton } from "../src/skeleton.js";

const COLOURS = { left: "cyan", right: "amber", middle: "white" };

/** Points in a column of 10 pixels, each with its place as its row; those of a list are not seen. */
const person = (id, unseen = []) => ({
  id,
  box: [10, 0, 0, 32],
  score: 0.75,
  keypoints: KEYPOINTS.map((name, row) => [10, row, -1.5, unseen.includes(name) ? 0.25 : 0.5]),
});
const report = (time_ms, people) => ({ frame: time_ms / 40, time_ms, faces: [], ...(people && { people }) });

/** What a drawing without its edges consists of. */
function drawn(person, place = (x, y) => [x, y]) {
  const calls = { lines: [], joints: [] };
  let [path, dashes] = [[], []];
  const context = {
    canvas: { clientWidth: 100, clientHeight: 100 },
    save() {},
    restore() {},
    setLineDash: (lengths) => (dashes = lengths),
    beginPath: () => (path = []),
    moveTo: (...point) => path.push(point),
    lineTo: (...point) => path.push(point),
    stroke: () => calls.lines.push({ path, isDashed: dashes.length > 0, colour: context.strokeStyle, width: context.lineWidth }),
    arc: (x, y) => path.push({ joint: "circle", x, y }),
    rect: (x, y, width, height) => path.push({ joint: "square", x: x + width / 2, y: y + height / 2 }),
    fill: () => calls.joints.push({ ...path[0], colour: context.fillStyle }),
  };
  drawSkeleton(context, person, { place, scale: 1, colours: COLOURS });
  const isNoEdge = ({ colour }) => Object.values(COLOURS).includes(colour);
  return { lines: calls.lines.filter(isNoEdge), joints: calls.joints.filter(isNoEdge), edges: calls.lines.filter((it) => !isNoEdge(it)) };
}

test("left and right differ in line and joint, not in colour alone", () => {
  const { lines, joints, edges } = drawn(person(0));
  assert.deepEqual([lines.length, edges.length, joints.length], [CONNECTIONS.length, CONNECTIONS.length, KEYPOINTS.length]);
  const looks = (list, key) => [...new Set(list.map((it) => `${it.colour} ${key(it)}`))].sort();
  assert.deepEqual(looks(lines, ({ isDashed }) => (isDashed ? "dashed" : "solid")), ["amber dashed", "cyan solid", "white solid"]);
  assert.deepEqual(looks(joints, ({ joint }) => joint), ["amber square", "cyan circle", "white circle"]);
  const [left, middle] = ["cyan", "white"].map((colour) => lines.find((line) => line.colour === colour).width);
  assert.ok(middle < left, "lines across are thinner");
  const arm = lines.filter(({ path: [[, from], [, to]] }) => from === KEYPOINTS.indexOf("left_shoulder") && to === KEYPOINTS.indexOf("left_elbow"));
  assert.deepEqual(arm.map(({ colour }) => colour), ["cyan"]);
  // Mouth, shoulders and hips.
  assert.equal(lines.filter(({ colour }) => colour === "white").length, 3);
});

test("points that are not seen are left out with their lines", () => {
  const { lines, joints } = drawn(person(0, ["left_wrist"]));
  const wrist = KEYPOINTS.indexOf("left_wrist");
  const ends = CONNECTIONS.filter((connection) => connection.includes(wrist)).length;
  assert.deepEqual([lines.length, joints.length], [CONNECTIONS.length - ends, KEYPOINTS.length - 1]);
  assert.ok(joints.every(({ y }) => y !== wrist));
  assert.deepEqual(drawn(person(0, KEYPOINTS)).joints, []);
});

test("a mirrored picture has the left side on its left, still solid", () => {
  const { joints } = drawn(person(0), (x, y) => [100 - x, y]);
  assert.ok(joints.every(({ x }) => x === 90));
  assert.deepEqual(joints.filter(({ joint }) => joint === "square").length, 16);
});

test("the panel tells how many points are seen, and where a joint is", () => {
  assert.equal(describePerson(person(3, ["nose", "left_hip"])), "Person 3: 75 % sure, 31 of 33 points seen");
  assert.equal(describeJoint(person(0), "right_elbow"), "10, 14");
  assert.equal(describeJoint(person(0, ["right_elbow"]), "right_elbow"), "not seen");
});

test("people are told aloud where they are looked for", () => {
  const aloud = (people) => describeAloud({ showing: "clip", latest: report(0, people), threshold: 0.5 });
  assert.equal(aloud(), "No face");
  assert.equal(aloud([]), "No face. Nobody");
  assert.equal(aloud([person(0)]), "No face. 1 person");
  assert.equal(aloud([person(0), person(1)]), "No face. 2 people");
});

test("CSV has a row a person with the columns of the command line, and a row for nobody", () => {
  const face = { id: 4, box: [1, 2, 3, 4], score: 0.5 };
  const reports = [{ ...report(0, [person(0), person(7)]), faces: [face] }, report(40, []), report(80)];
  const [header, ...rows] = toCsv(reports, "a", 0.5).trim().split("\n").map((row) => row.split(","));
  assert.equal(header.slice(0, 10).join(), "file,frame,time_ms,kind,id,x,y,width,height,score");
  const points = header.slice(-2 - 4 * 33, -2);
  assert.deepEqual(points.slice(0, 5), ["nose_x", "nose_y", "nose_z", "nose_visibility", "left_eye_inner_x"]);
  assert.equal(points.at(-1), "right_foot_index_visibility");
  assert.deepEqual(rows.map((row) => row.slice(1, 6).join()), ["0,0,face,4,1", "0,0,person,0,10", "0,0,person,7,10", "1,40,,,", "2,80,,,"]);
  assert.deepEqual(rows[1].slice(-2 - 4 * 33).slice(0, 5), ["10", "0", "-1.5", "0.5", "10"]);
  assert.ok(rows[0].slice(-2 - 4 * 33).every((field) => field === ""));
  assert.ok(rows.every(({ length }) => length === header.length));
  const lines = toJsonLines(reports, 0.5).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, reports);
  assert.doesNotMatch(toCsv([report(0)], "a", 0.5), /kind|nose/);
});

test("the log keeps fewer reports where they have people", () => {
  const log = new ReportLog();
  for (let step = 0; step < 25_010; step++) log.add(report(40 * step, [person(0)]));
  assert.deepEqual([log.reports.length, log.forgotten], [25_000, 10]);
  log.add(report(40 * 25_010, [person(0), person(1)]));
  assert.deepEqual([log.reports.length, log.forgotten], [24_999, 12]);
  // A report that is replaced makes room.
  log.add(report(40 * 25_010));
  log.add(report(40 * 25_011, [person(0)]));
  assert.deepEqual([log.reports.length, log.forgotten], [25_000, 12]);
});
