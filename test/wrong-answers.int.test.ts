// A random sample of the wrong answers that `faults/wrong-answers.fault.test.ts` gives. WRONG_ANSWERS_SEED, which the test prints, repeats
// a sample.

import { createRandom } from "@actions-archive/github-simulator/random";
import { expect, test } from "vitest";

import { describeResult, listOnceScenarios, runOnceScenarios } from "./support/wrong-answers/run-scenarios.ts";

const sampleSize = 25;
// oxlint-disable-next-line node/no-process-env -- the tester can repeat a sample
const seed = Number(process.env["WRONG_ANSWERS_SEED"] ?? Date.now() % 1_000_000);

test("a wrong answer of GitHub loses nothing silently, and what it hid is found by the next pass", async ({ annotate }) => {
  await annotate(`WRONG_ANSWERS_SEED=${seed}`);
  const scenarios = await listOnceScenarios();
  const random = createRandom("wrong answers", seed);
  const shuffled = scenarios.map((scenario) => ({ scenario, at: random.next() })).toSorted((a, b) => a.at - b.at);
  const sample = shuffled.slice(0, sampleSize).map(({ scenario }) => scenario);
  const results = await runOnceScenarios(sample);
  const failed = results.filter(({ outcome }) => outcome === "broken" || outcome === "gap");
  expect(failed.map(describeResult), `WRONG_ANSWERS_SEED=${seed}`).toEqual([]);
});
