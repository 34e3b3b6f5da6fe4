// Properties of every log and list of steps: the sections cover the log, chunks change nothing, lists are bounded,
// and no line of a regular job's log is assigned to a wrong step.

import fc from "fast-check";
import { expect, test } from "vitest";

import { encode, iso, logBytes, stamp, stepOfLine, type OwnedLine } from "../../../test-support/log-lines.ts";
import { splitLog } from "../steps/split-log.ts";
import type { JobStep } from "../steps/step-cost.ts";
import { logFacts } from "./log-facts.ts";

const runnerText = fc.constantFrom(
  "Current runner version: '2.329.0'",
  "##[group]Run actions/checkout@v4",
  "##[group]Run make",
  "##[group]Run '/hook.js'",
  "##[group]some group",
  "##[endgroup]",
  "Post job cleanup.",
  "Cleaning up orphan processes",
  "Evaluate and set job outputs",
  "Stop and remove container: x",
  "##[error]Process completed with exit code 1.",
  "##[error]Can't find 'action.yml'",
  "##[warning]Unexpected input(s) 'x'",
  "##[debug]Evaluating condition for step: 'Make'",
  "##[start-action display=x;id=a]",
  "##[end-action id=a;outcome=success]",
  "Prepare all required actions",
  "Getting action download info",
  "Download action repository 'a/b@v1' (SHA:0c45773b623bea8c8e75f6c82b208c3cf94ea4f9)",
  "##[group]Download immutable action package 'a/b@v1'",
  "##[command]/usr/bin/docker pull postgres:10",
);
const wildLine = fc
  .tuple(
    fc.oneof(fc.constant(undefined), fc.integer({ min: -5, max: 30 })),
    fc.oneof(
      runnerText,
      fc.string({ maxLength: 60 }),
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    ),
    fc.constantFrom("\n", "\r\n", ""),
  )
  .map(([at, text, end]) => Buffer.from(`${at === undefined ? "" : stamp(at)}${text}${end}`));
const wildLog = fc
  .array(wildLine, { minLength: 1, maxLength: 80 })
  .map((lines) => Buffer.concat(lines))
  .filter(({ length }) => length > 0);
const wildTime = fc.oneof(fc.constant(null), fc.integer({ min: -5, max: 30 }).map(iso), fc.constant("not a time"));
const wildSteps = fc.uniqueArray(
  fc.record({
    step_number: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    step_name: fc.oneof(
      fc.constantFrom("Set up job", "Complete job", "Make", "Post Make", "Run make", "Stop containers", null),
      fc.string(),
    ),
    conclusion: fc.constantFrom("success", "failure", "skipped", "cancelled", null),
    started_at: wildTime,
    completed_at: wildTime,
  }),
  { maxLength: 12, selector: ({ step_number }) => step_number },
);

test("the sections of any log are all of its lines and bytes, each once, and each of a step of the job or of none", () => {
  fc.assert(
    fc.property(wildLog, wildSteps, (bytes, steps) => {
      const totals = encode(bytes);
      const sections = splitLog(totals, steps);
      let [line, offset] = [1, 0];
      for (const section of sections) {
        expect(section).toMatchObject({ first_line: line, raw_start: offset });
        expect(section.line_count).toBeGreaterThan(0);
        const text = bytes.subarray(offset, offset + section.raw_bytes);
        const newlines = text.filter((byte) => byte === 10).length;
        expect(newlines + (text.at(-1) === 10 ? 0 : 1)).toBe(section.line_count);
        line += section.line_count;
        offset += section.raw_bytes;
      }
      expect([line, offset]).toEqual([totals.lines + 1, bytes.length]);
      for (const number of sections.flatMap(({ step_number }) => step_number ?? []))
        expect(steps.map(({ step_number }) => step_number)).toContain(number);
    }),
    { numRuns: 400 },
  );
});

test("the facts of a log do not depend on how its bytes arrive", () => {
  fc.assert(
    fc.property(wildLog, wildSteps, fc.integer({ min: 1, max: 200 }), (bytes, steps, chunkBytes) => {
      expect(logFacts(encode(bytes, chunkBytes), steps)).toEqual(logFacts(encode(bytes), steps));
    }),
    { numRuns: 200 },
  );
});

type Plan = {
  readonly kind: "script" | "action" | "composite" | "quiet script" | "quiet action";
  readonly isNamed: boolean;
  readonly isSkipped: boolean;
  readonly seconds: number;
  readonly inner: readonly ("script" | "action")[];
  readonly output: number;
};
const plan: fc.Arbitrary<Plan> = fc.record({
  kind: fc.constantFrom("script", "script", "action", "composite", "quiet script", "quiet action"),
  isNamed: fc.boolean(),
  isSkipped: fc.boolean(),
  seconds: fc.double({ min: 0.05, max: 4, noNaN: true }),
  inner: fc.array(fc.constantFrom("script" as const, "action" as const), { minLength: 1, maxLength: 3 }),
  output: fc.integer({ min: 1, max: 3 }),
});
/** How GitHub may round a time to whole seconds, which differs for each time of a job. */
const rounding = fc.constantFrom(Math.floor, Math.round);

// A job as the runner prints it: every step begins with its group, a composite action's own steps follow at once.
function printJob(
  plans: readonly Plan[],
  roundings: readonly ((ms: number) => number)[],
): { lines: OwnedLine[]; steps: JobStep[] } {
  const [lines, steps]: [OwnedLine[], JobStep[]] = [[], []];
  let [at, rounds] = [0.2, 0];
  const second = () => iso((roundings[rounds++ % roundings.length] ?? Math.floor)(at));
  const print = (step: number, ...texts: string[]) => {
    for (const text of texts) lines.push({ at: Math.floor(at * 1000) / 1000, text, step });
  };
  const group = (step: number, uses: string) => print(step, `##[group]Run ${uses}`, "with:", "##[endgroup]");
  const run = (step_name: string, body: (number: number) => void, isSkipped = false) => {
    const step_number = steps.length + 1;
    const started_at = second();
    if (!isSkipped) body(step_number);
    at += 0.01;
    steps.push({ step_number, step_name, conclusion: isSkipped ? "skipped" : "success", started_at, completed_at: second() });
  };
  const say = (step: number, { output, seconds }: Plan) => {
    for (let index = 0; index < output; index += 1) {
      at += seconds / output;
      print(step, `output ${index}`);
    }
  };
  run("Set up job", (number) => {
    print(number, "Current runner version: '2.329.0'", "Prepare all required actions", "Complete job name: build");
    at += 0.5;
  });
  for (const [index, each] of plans.entries()) {
    const uses = each.kind === "script" || each.kind === "quiet script" ? `step-${index} --all` : `acme/step-${index}@v1`;
    const body = (number: number) => {
      group(number, uses);
      if (each.kind === "composite") {
        for (const [place, inner] of each.inner.entries()) {
          group(number, inner === "script" ? `inner-${place}` : `acme/inner-${place}@v2`);
          say(number, each);
        }
      } else if (!each.kind.startsWith("quiet")) say(number, each);
    };
    run(each.isNamed ? `Step ${index}` : `Run ${uses}`, body, each.isSkipped);
  }
  run("Post Step 0", (number) => print(number, "Post job cleanup.", "bye"));
  run("Complete job", (number) => print(number, "Cleaning up orphan processes"));
  return { lines, steps };
}

test("no line of a regular job is assigned to a wrong step, and few to none", () => {
  let [all, attributed] = [0, 0];
  fc.assert(
    fc.property(
      fc.array(plan, { minLength: 1, maxLength: 8 }),
      fc.array(rounding, { minLength: 1, maxLength: 7 }),
      (plans, roundings) => {
        const { lines, steps } = printJob(plans, roundings);
        const found = stepOfLine(splitLog(encode(logBytes(lines)), steps));
        const wrong = lines.filter(({ step }, index) => found[index] !== null && found[index] !== step);
        expect(wrong).toEqual([]);
        all += lines.length;
        attributed += found.filter((step) => step !== null).length;
      },
    ),
    { numRuns: 500 },
  );
  expect(attributed / all).toBeGreaterThan(0.9);
});
