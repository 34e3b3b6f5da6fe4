// Background steps and parallel groups, as actions/runner 2.335 and later print them (BackgroundStepCoordinator), each case as
// a small log: lines that several steps may have printed are unassigned, and the first line of each step is known.

import { expect, test } from "vitest";

import {
  action,
  encode,
  jobStep,
  last,
  line,
  logBytes,
  script,
  setUp,
  split,
  type OwnedLine,
} from "../../../test-support/log-lines.ts";
import { logFacts } from "./log-facts.ts";

/** Lines that `step` printed while others ran: only the first is certain. */
const among = (step: number, lines: readonly OwnedLine[]) =>
  lines.map((each, index) => ({ ...each, step: index === 0 ? step : null }));

const server = [
  ...setUp,
  ...script(2, 1.1, "make", "built"),
  ...script(3, 3.1, "npm start", "listening"),
  ...among(4, script(4, 5.1, "npm run e2e", "case 1 ok")),
  line(null, 7.2, "GET /"),
  ...among(5, script(5, 9.1, "npm run smoke")),
  line(null, 12.1, "GET /"),
  line(null, 14.9, "##[error]the page is empty"),
  line(null, 15, "##[error]Process completed with exit code 3."),
  line(6, 21.1, "Cancelling background step(s): Serve"),
  line(null, 21.9, "bye"),
  line(null, 22, "Finished cancelling background step(s)."),
  line(null, 22, "  Serve: Canceled"),
  ...last(7, 24.1),
];
const serverSteps = [
  jobStep(1, "Set up job", [0, 1]),
  jobStep(2, "Build", [1, 3]),
  jobStep(3, "Serve", [3, 22], { conclusion: "cancelled" }),
  jobStep(4, "Run npm run e2e", [5, 9]),
  jobStep(5, "Smoke", [9, 15], { conclusion: "failure" }),
  jobStep(6, "Stop", [21, 22]),
  jobStep(7, "Complete job", [24, 24]),
];

test("the first lines of steps that run while a server is in the background are known", () => {
  const { expected, found } = split(server, serverSteps);
  expect(found).toEqual(expected);
});

test("the error of the only step that failed at that time is its own, even if others may print", () => {
  const { annotations } = logFacts(encode(logBytes(server)), serverSteps);
  expect(annotations.map(({ step_number, message }) => [step_number, message])).toEqual([
    [5, "the page is empty"],
    [5, "Process completed with exit code 3."],
  ]);
});

test("an error is unassigned if two steps end at that time", () => {
  const steps = serverSteps.map((step) =>
    step.step_number === 3 ? { ...step, completed_at: jobStep(3, "", [0, 15]).completed_at } : step,
  );
  const { annotations } = logFacts(encode(logBytes(server)), steps);
  expect(annotations.map(({ step_number }) => step_number)).toEqual([null, null]);
});

test("with a server that prints nothing more, the first lines are known and the others unassigned", () => {
  const lines = server.filter(({ text }) => !/^(GET|bye)/.test(text));
  const { expected, found } = split(lines, serverSteps);
  expect(found).toEqual(expected);
});

test("after a parallel group the next step has all its lines, in whatever second the group ended", () => {
  const lines = [
    ...setUp,
    ...script(2, 1.1, "make prepare", "ready"),
    line(3, 2.1, "##[group]Run tsc"),
    line(3, 2.11, "\u001b[36;1mtsc\u001b[0m"),
    line(4, 2.12, "##[group]Run oxlint"),
    line(null, 2.12, "##[endgroup]"),
    line(null, 2.13, "\u001b[36;1moxlint\u001b[0m"),
    line(null, 2.14, "##[endgroup]"),
    line(5, 2.15, "Waiting for background step(s) to complete: Types, Lint, then stop"),
    line(null, 4, "types ok"),
    line(null, 6.2, "lint ok"),
    line(null, 6.3, "Finished waiting for background step(s)."),
    line(null, 6.3, "  Types: Succeeded"),
    line(null, 6.3, "  Lint, then stop: Succeeded"),
    ...script(6, 6.4, "make report", "reported"),
    ...last(7, 6.9),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Prepare", [1, 2]),
    jobStep(3, "Types", [2, 4]),
    jobStep(4, "Lint, then stop", [2, 6]),
    jobStep(5, "Parallel group", [2, 6]),
    jobStep(6, "Report", [6, 6]),
    jobStep(7, "Complete job", [6, 7]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("a local action in the background begins where it downloads its actions, whatever comes before its head", () => {
  const lines = [
    ...setUp.slice(0, 4),
    line(1, 0.2, "Prepare all required actions"),
    line(1, 0.4, "Complete job name: build"),
    line(2, 1.1, "Prepare all required actions"),
    line(2, 1.1, "Getting action download info"),
    ...among(3, script(3, 1.12, "make")),
    line(null, 1.9, "Download action repository 'acme/cache@v4' (SHA:0c45773b623bea8c8e75f6c82b208c3cf94ea4f9)"),
    ...action(null, 2.2, "./.github/actions/warm", "warm"),
    line(null, 8, "made"),
    line(4, 9.1, "No background steps remaining to wait for."),
    line(4, 9.1, "Finished waiting for all background step(s)."),
    ...last(5, 12.1),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Warm the cache", [1, 8]),
    jobStep(3, "Make", [1, 9]),
    jobStep(4, "Wait for all background steps", [9, 9]),
    jobStep(5, "Complete job", [12, 12]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("a control line in a job's output makes no step a background step", () => {
  const lines = [
    ...setUp,
    ...script(
      2,
      1.1,
      "cat notes",
      "Waiting for background step(s) to complete: Notes",
      "Finished waiting for background step(s).",
    ),
    ...script(3, 6.1, "make", "ok"),
    ...last(4, 9.1),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Notes", [1, 6]),
    jobStep(3, "Make", [6, 9]),
    jobStep(4, "Complete job", [9, 9]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});
