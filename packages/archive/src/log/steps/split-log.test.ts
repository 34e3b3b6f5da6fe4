// Assignment of lines to steps: each case of the runner's output as a small log.

import { expect, test } from "vitest";

import {
  action,
  encode,
  iso,
  jobStep,
  last,
  line,
  logBytes,
  post,
  script,
  setUp,
  split,
  type OwnedLine,
} from "../../../test-support/log-lines.ts";
import { splitLog } from "./split-log.ts";
import type { JobStep } from "./step-cost.ts";

type Case = readonly [name: string, lines: readonly OwnedLine[], steps: readonly JobStep[]];

const habits: readonly Case[] = [
  [
    "steps with and without a name of their own, after lines that wait for a runner",
    [
      line(null, -5, "Requested labels: ubuntu-24.04"),
      line(null, -4, "Waiting for a runner to pick up this job..."),
      ...setUp,
      ...action(2, 1.2, "actions/checkout@v4", "HEAD is now at 1234567"),
      ...script(3, 3.1, "make test", "ok 1", "ok 2"),
      ...post(4, 9.2, "git config --unset"),
      ...last(5, 9.6),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Run actions/checkout@v4", [1, 3]),
      jobStep(3, "Test everything", [3, 9]),
      jobStep(4, "Post Run actions/checkout@v4", [9, 9]),
      jobStep(5, "Complete job", [9, 9]),
    ],
  ],
  [
    "skipped steps, which print nothing",
    [...setUp, ...script(2, 1.1, "exit 1", "##[error]Process completed with exit code 1."), ...last(9, 2.2)],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Build", [1, 2], { conclusion: "failure" }),
      jobStep(3, "Publish", [2, 2], { conclusion: "skipped" }),
      jobStep(4, "Run npm test", [2, 2], { conclusion: "skipped" }),
      jobStep(9, "Complete job", [2, 2]),
    ],
  ],
  [
    "a composite action with a name of its own, whose steps all begin within its first second",
    [
      ...setUp,
      ...action(2, 1.0, "actions/checkout@v4", "HEAD is now at 1234567"),
      ...action(3, 1.4, "./.github/actions/set-up"),
      ...action(3, 1.4, "actions/setup-node@v4", "Found in cache"),
      ...script(3, 1.6, "npm ci", "added 3 packages"),
      ...script(4, 2.4, "npm test", "ok"),
      ...last(5, 3.2),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Fetch", [1, 1]),
      jobStep(3, "Set up", [1, 2]),
      jobStep(4, "Test", [2, 3]),
      jobStep(5, "Complete job", [3, 3]),
    ],
  ],
  [
    "a composite action whose parts the runner marks, and its post steps inside each other",
    [
      ...setUp,
      ...action(2, 1.0, "acme/set-up@v1"),
      line(2, 1.0, "##[start-action display=Cache;id=__acme.__cache]"),
      ...action(2, 1.0, "actions/cache@v4", "Cache restored"),
      line(2, 1.3, "##[end-action id=__acme.__cache;outcome=success;conclusion=success;duration_ms=3]"),
      ...script(3, 1.4, "make", "ok"),
      ...post(4, 2.2),
      line(4, 2.2, "##[start-action display=Cache;id=__acme.__cache]"),
      ...post(4, 2.2, "Cache hit, not saving"),
      line(4, 2.3, "##[end-action id=__acme.__cache;outcome=success;conclusion=success;duration_ms=3]"),
      ...last(5, 2.4),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Prepare", [1, 1]),
      jobStep(3, "Make", [1, 2]),
      jobStep(4, "Post Prepare", [2, 2]),
      jobStep(5, "Complete job", [2, 2]),
    ],
  ],
  [
    "post steps inside a composite action's, without marks, all in one second",
    [
      ...setUp,
      ...script(2, 1.1, "make", "ok"),
      ...post(8, 2.1),
      ...post(8, 2.1, "Cache saved"),
      ...post(9, 2.2, "git config --unset"),
      ...last(10, 2.3),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Run make", [1, 2]),
      jobStep(3, "Run acme/lint@v1", [2, 2], { conclusion: "skipped" }),
      jobStep(4, "Run actions/checkout@v4", [2, 2], { conclusion: "skipped" }),
      jobStep(8, "Post Run acme/lint@v1", [2, 2]),
      jobStep(9, "Post Run actions/checkout@v4", [2, 2]),
      jobStep(10, "Complete job", [2, 2]),
    ],
  ],
  [
    "output that fakes marks, within a second of true ones",
    [
      ...setUp,
      ...script(
        2,
        1.0,
        "cat old.log",
        "##[group]Run actions/checkout@v4",
        "##[endgroup]",
        "Post job cleanup.",
        "##[group]Run make",
      ),
      ...script(3, 1.5, "make", "ok"),
      ...post(4, 5.1, "bye"),
      ...last(5, 5.2),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Show an old log", [1, 1]),
      jobStep(3, "Run make", [1, 5]),
      jobStep(4, "Post Show", [5, 5]),
      jobStep(5, "Complete job", [5, 5]),
    ],
  ],
  [
    "containers, an image that is pulled, one that is built",
    [
      ...setUp,
      line(2, 1.1, "##[group]Pull down action image 'ghcr.io/acme/report:1'"),
      line(2, 1.4, "##[endgroup]"),
      line(3, 2.1, "##[group]Build container for action use: '/home/runner/Dockerfile'."),
      line(3, 2.4, "##[endgroup]"),
      line(4, 3.1, "##[group]Checking docker version"),
      line(4, 3.1, "##[endgroup]"),
      line(4, 3.2, "##[group]Starting postgres service container"),
      line(4, 3.9, "##[endgroup]"),
      ...script(5, 4.1, "psql", "1 row"),
      line(6, 6.1, "Print service container logs: postgres"),
      line(6, 6.1, "database system is ready to accept connections"),
      line(6, 6.2, "Stop and remove container: postgres"),
      line(6, 6.3, "Remove container network: github_network"),
      line(7, 6.4, "Evaluate and set job outputs"),
      line(7, 6.4, "Set output 'rows'"),
      ...last(7, 6.5),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Pull ghcr.io/acme/report:1", [1, 2]),
      jobStep(3, "Build acme/wait@v1", [2, 3]),
      jobStep(4, "Initialize containers", [3, 4]),
      jobStep(5, "Query", [4, 6]),
      jobStep(6, "Stop containers", [6, 6]),
      jobStep(7, "Complete job", [6, 6]),
    ],
  ],
  [
    "lines of the runner directly before a step's own first line",
    [
      ...setUp,
      line(2, 1.1, "##[warning]Unexpected input(s) 'java', valid inputs are ['python']"),
      ...action(2, 1.1, "actions/setup-python@v1", "done"),
      line(3, 2.1, "Prepare all required actions"),
      line(3, 2.1, "Getting action download info"),
      line(3, 2.3, "Download action repository 'actions/cache@v4' (SHA:0c45773b623bea8c8e75f6c82b208c3cf94ea4f9)"),
      ...action(3, 2.4, "./.github/actions/set-up"),
      ...action(3, 2.4, "actions/cache@v4", "restored"),
      line(4, 4.1, "Node 20 is being deprecated. This workflow is running with Node 24 by default."),
      ...post(4, 4.1, "bye"),
      ...last(5, 4.2),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Set up Python", [1, 2]),
      jobStep(3, "Set up", [2, 4]),
      jobStep(4, "Post Set up Python", [4, 4]),
      jobStep(5, "Complete job", [4, 4]),
    ],
  ],
  [
    "hooks, and a job whose steps run in a container by hooks",
    [
      ...setUp,
      line(2, 1.1, "A job started hook has been configured by the self-hosted runner administrator"),
      line(2, 1.1, "##[group]Run '/opt/start.sh'"),
      line(2, 1.1, "##[endgroup]"),
      line(3, 2.1, "##[group]Run '/home/runner/k8s/index.js'"),
      line(3, 2.1, "##[endgroup]"),
      ...action(4, 4.1, "actions/checkout@v4"),
      line(4, 4.1, "##[group]Run '/home/runner/k8s/index.js'"),
      line(4, 4.1, "##[endgroup]"),
      ...script(5, 6.1, "make"),
      line(5, 6.1, "##[group]Run '/home/runner/k8s/index.js'"),
      line(5, 6.1, "##[endgroup]"),
      ...last(6, 8.1),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Set up runner", [1, 2]),
      jobStep(3, "Initialize containers", [2, 4]),
      jobStep(4, "Fetch", [4, 6]),
      jobStep(5, "Make", [6, 8]),
      jobStep(6, "Complete job", [8, 8]),
    ],
  ],
  [
    "step debugging, where a skipped step prints, too",
    [
      line(null, 0.0, "##[debug]Starting: build"),
      line(1, 0.0, "##[debug]Starting: Set up job"),
      ...setUp,
      line(2, 1.0, "##[debug]Evaluating condition for step: 'Run make'"),
      line(2, 1.0, "##[debug]Starting: Run make"),
      ...script(2, 1.1, "make", "ok"),
      line(2, 1.3, "##[debug]Finishing: Run make"),
      line(3, 1.3, "##[debug]Evaluating condition for step: 'Publish'"),
      line(3, 1.3, "##[debug]Result: false"),
      line(4, 1.4, "##[debug]Starting: Complete job"),
      ...last(4, 1.4),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Run make", [1, 1]),
      jobStep(3, "Publish", [1, 1], { conclusion: "skipped" }),
      jobStep(4, "Complete job", [1, 1]),
    ],
  ],
  [
    "a step that fails before it begins, and values of several lines that look like marks",
    [
      ...setUp,
      ...script(2, 1.1, "env", "NOTES=first"),
      line(2, undefined, "Post job cleanup."),
      line(2, undefined, "##[group]Run make"),
      line(3, 1.4, "##[error]Can't find 'action.yml' under '/home/runner/work/.github/actions/gone'."),
      ...post(5, 1.5, "bye"),
      ...last(6, 1.6),
    ],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Show", [1, 1]),
      jobStep(3, "Use a local action", [1, 1], { conclusion: "failure" }),
      jobStep(4, "Run make", [1, 1], { conclusion: "skipped" }),
      jobStep(5, "Post Show", [1, 1]),
      jobStep(6, "Complete job", [1, 1]),
    ],
  ],
  [
    "a step that ends before it starts, and one whose times are missing",
    [...setUp, ...script(2, 1.1, "make", "ok"), ...script(3, 2.6, "make test", "ok"), ...post(4, 4.2, "bye"), ...last(5, 4.4)],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Make", [1, 2], { started_at: null, completed_at: null }),
      jobStep(3, "Test", [3, 4]),
      jobStep(4, "Post Make", [6, 4]),
      jobStep(5, "Complete job", [4, 4]),
    ],
  ],
  [
    "a job whose first and last step GitHub does not list",
    [...setUp, ...script(2, 1.1, "make", "ok"), ...last(3, 2.2)].map((each) =>
      each.step === 2 ? each : { ...each, step: null },
    ),
    [jobStep(2, "Make", [1, 2])],
  ],
  [
    "a log that was truncated by a kill",
    [...setUp, ...script(2, 1.1, "sleep 9999", "working"), line(2, 30.1, "still working")],
    [
      jobStep(1, "Set up job", [0, 1]),
      jobStep(2, "Sleep", [1, 1], { conclusion: null, completed_at: null }),
      jobStep(3, "Test", [1, 1], { conclusion: null, started_at: null, completed_at: null }),
    ],
  ],
];

test.each(habits)("every line finds its step: %s", (_name, lines, steps) => {
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("whatever way GitHub rounds the times of steps, every line finds its step", () => {
  for (const round of [Math.floor, Math.round, Math.ceil]) {
    const lines = [
      ...setUp,
      ...action(2, 0.9, "acme/set-up@v1", "done"),
      ...script(3, 1.45, "make", "ok"),
      ...script(4, 1.6, "make test", "ok"),
      ...post(5, 2.5, "bye"),
      ...last(6, 2.55),
    ];
    const times = [0.05, 0.85, 1.4, 1.55, 2.45, 2.5, 2.6].map(round);
    const names = ["Set up job", "Prepare", "Make", "Test", "Post Prepare", "Complete job"];
    const steps = names.map((name, index) => jobStep(index + 1, name, [times[index] ?? 0, times[index + 1] ?? 0]));
    const { expected, found } = split(lines, steps);
    expect(found).toEqual(expected);
  }
});

test("an undeterminable border between two composite actions of one second is unassigned", () => {
  const lines = [
    ...setUp,
    ...action(2, 1.1, "acme/one@v1"),
    ...script(2, 1.1, "echo 1", "1"),
    ...action(3, 1.2, "acme/two@v1"),
    ...script(3, 1.2, "echo 2", "2"),
    ...last(4, 2.2),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "One", [1, 1]),
    jobStep(3, "Two", [1, 2]),
    jobStep(4, "Complete job", [2, 2]),
  ];
  const { expected, found } = split(lines, steps);
  const claimed = found.flatMap((step, index) => (step === null ? [] : [[step, expected[index]]]));
  expect(claimed.filter(([step, truth]) => step !== truth)).toEqual([]);
  expect(found).toContain(null);
});

test("for a step without a mark, the seconds around its start are unassigned, and the rest is split by time", () => {
  const lines = [
    ...setUp,
    ...script(2, 1.1, "make", "ok"),
    line(2, 3, "still two"),
    line(null, 10.4, "unknown"),
    line(null, 10.8, "unknown"),
    line(3, 15, "surely three"),
    ...last(4, 20.1),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Make", [1, 11]),
    jobStep(3, "Odd", [11, 20]),
    jobStep(4, "Complete job", [20, 20]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("where a step prints among the lines of the next, they are unassigned until it ends, but for the first", () => {
  const lines = [
    ...setUp,
    ...script(2, 1.1, "serve &", "listening"),
    line(3, 2.1, "##[group]Run make test"),
    ...script(null, 2.1, "make test", "ok").slice(1),
    line(null, 4, "GET /"),
    line(3, 9, "ok"),
    ...last(4, 10.1),
  ];
  const steps = [
    jobStep(1, "Set up job", [0, 1]),
    jobStep(2, "Serve", [1, 6]),
    jobStep(3, "Test", [2, 10]),
    jobStep(4, "Complete job", [10, 10]),
  ];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("lines after a step's end are not its own", () => {
  const lines = [
    ...setUp,
    ...script(2, 1.1, "make", "ok"),
    ...script(null, 5.1, "a step that GitHub does not list", "ok"),
    ...last(4, 9.1),
  ];
  const steps = [jobStep(1, "Set up job", [0, 1]), jobStep(2, "Make", [1, 3]), jobStep(4, "Complete job", [9, 9])];
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});

test("without steps the log is one unassigned section", () => {
  const totals = encode(logBytes(setUp));
  expect(splitLog(totals, [])).toEqual([
    { step_number: null, first_line: 1, line_count: 5, raw_start: 0, raw_bytes: totals.rawBytes },
  ]);
});

test("a log of a day that ends at midnight is split by the right day", () => {
  const lines = [line(1, 43_199.5, "Current runner version: '2'"), ...script(2, 43_200.2, "make", "ok"), ...last(3, 43_203.1)];
  const steps = [
    jobStep(1, "Set up job", [43_199, 43_200]),
    jobStep(2, "Make", [43_200, 43_203]),
    jobStep(3, "Complete job", [43_203, 43_203]),
  ];
  expect(iso(43_200)).toBe("2026-05-02T00:00:00.000Z");
  const { expected, found } = split(lines, steps);
  expect(found).toEqual(expected);
});
