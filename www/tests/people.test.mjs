// What the page says and keeps of people, in Node.

import assert from "node:assert/strict";
import { test } from "node:test";

import { KEYPOINTS } from "affectlens";

import { ReportLog } from "../src/log.js";
import { describeAloud } from "../src/notices.js";
import { describeJoint, describePerson } from "../src/people.js";

/** Points in a column of 10 pixels, each with its place as its row; those of a list are not seen. */
const person = (id, unseen = []) => ({
  id,
  box: [10, 0, 0, 32],
  score: 0.75,
  keypoints: KEYPOINTS.map((name, row) => [10, row, -1.5, unseen.includes(name) ? 0.25 : 0.5]),
});
const report = (time_ms, people) => ({ frame: time_ms / 40, time_ms, faces: [], ...(people && { people }) });

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
