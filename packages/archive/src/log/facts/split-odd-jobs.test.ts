// Misleading job objects and clocks: steps that are still queued in the object, clocks that are set during a job, post steps of
// composite actions by runners without markers.

import { expect, test } from "vitest";

import { action, jobStep, last, line, post, script, setUp, split, type OwnedLine } from "../../../test-support/log-lines.ts";

const noTimes = { conclusion: null, started_at: null, completed_at: null };

test("lines after the first line of a step that is queued in the job object do not belong to the step before it", () => {
  const lines = [
    ...setUp,
    ...script(2, 1.1, "make", "built"),
    ...script(null, 20.1, "make test", "##[error]no"),
    ...last(5, 22.1).map((each) => ({ ...each, step: null })),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Build", [1, 20], { conclusion: null, completed_at: null }),
    jobStep(3, "Test", [0, 0], noTimes),
    jobStep(4, "Publish", [0, 0], noTimes),
    jobStep(5, "Complete job", [0, 0], noTimes),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test.each([["set back", -312.4] as const, ["set forward", 312.4] as const])(
  "a clock that is %s while a step runs hides no line",
  (_, by) => {
    const at = (seconds: number) => seconds + 400 + (seconds > 6 ? by : 0);
    const lines = [
      ...setUp,
      ...script(2, 1.1, "make", "building"),
      line(2, 8, "built"),
      ...script(3, 9.2, "make test", "ok"),
      line(3, 12, "still ok"),
      ...post(4, 15.2, "bye"),
      ...last(5, 15.3),
    ].map((each) => ({ ...each, at: each.at === undefined ? undefined : at(each.at) }));
    const floor = (seconds: number) => Math.floor(at(seconds));
    const steps = [
      jobStep(1, "Set up job", [floor(0), floor(1)]),
      jobStep(2, "Build", [floor(1), floor(9)]),
      jobStep(3, "Test", [floor(9), floor(15)]),
      jobStep(4, "Post Build", [floor(15), floor(15)]),
      jobStep(5, "Complete job", [floor(15), floor(15)]),
    ];
    const { expected, found } = split(lines, steps);
    expect(found).toEqual(expected);
  },
);

test("a clock that is set back between two steps makes neither a background step", () => {
  const lines: OwnedLine[] = [
    ...setUp.map((each) => ({ ...each, at: 500.1 })),
    ...script(2, 501.1, "make", "built"),
    ...script(3, 203.1, "make test", "ok"),
    line(3, 230, "still ok"),
    ...last(4, 240.1),
  ];
  const steps = [
    jobStep(1, "Set up job", [500, 501]),
    jobStep(2, "Build", [501, 508]),
    jobStep(3, "Test", [203, 240]),
    jobStep(4, "Complete job", [240, 240]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("only the post step of a composite action contains other post steps, even if all are in one second", () => {
  const lines = [
    ...setUp,
    ...action(2, 1.1, "acme/lint@v4", "ready"),
    ...action(3, 2.1, "acme/node@v4", "ready"),
    ...action(4, 3.1, "acme/stack@v3"),
    ...action(4, 3.1, "acme/cache@v3", "restored"),
    ...script(5, 4.1, "make", "made"),
    ...post(8, 6.1),
    ...post(8, 6.11, "##[warning]the cache is full", "saved"),
    ...post(9, 6.2),
    ...post(10, 6.21, "linted"),
    ...last(11, 6.3),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Lint", [1, 2]),
    jobStep(3, "Set up Node", [2, 3]),
    jobStep(4, "Stack", [3, 4]),
    jobStep(5, "Make", [4, 6]),
    jobStep(8, "Post Stack", [6, 6]),
    jobStep(9, "Post Set up Node", [6, 6]),
    jobStep(10, "Post Lint", [6, 6]),
    jobStep(11, "Complete job", [6, 6]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("a step of the workflow with a post step's name is found by its own first line", () => {
  const lines = [
    ...setUp,
    ...script(2, 1.1, "make", "made"),
    ...script(3, 1.4, "./post.sh", "posted"),
    ...script(4, 2.4, "ls"),
    ...last(9, 3.1),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Build", [1, 1]),
    jobStep(3, "Post Build", [1, 2]),
    jobStep(4, "List", [2, 3]),
    jobStep(9, "Complete job", [3, 3]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("lines that the first step prints before its head do not belong to Set up job", () => {
  const lines = [
    ...setUp.slice(0, 4),
    line(1, 0.2, "Prepare all required actions"),
    line(1, 0.3, "Getting action download info"),
    line(1, 0.4, "Complete job name: build"),
    line(2, 0.6, "Prepare all required actions"),
    line(2, 0.6, "Getting action download info"),
    ...action(2, 1.2, "./.github/actions/set-up", "ready"),
    ...last(3, 2.1),
  ];
  const steps = [jobStep(1, "Set up job", [0, 1]), jobStep(2, "Set up", [1, 2]), jobStep(3, "Complete job", [2, 2])];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("output that resembles the runner's start hides no line of Set up job", () => {
  const lines = [...setUp, ...script(2, 0.6, "cat old.log", "Current runner version: '2.300.0'"), ...last(3, 2.1)];
  const steps = [jobStep(1, "Set up job", [0, 1]), jobStep(2, "Show", [1, 2]), jobStep(3, "Complete job", [2, 2])];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});
