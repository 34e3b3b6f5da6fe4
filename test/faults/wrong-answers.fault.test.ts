// GitHub gives wrong answers: one, at every call of a full pass and of every kind that fits; and for an hour, on every route. With
// WRONG_ANSWERS_ONLY, a part of the line that a failure prints, only those scenarios run.

import { expect, test } from "vitest";

import {
  countOutcomes,
  describeResult,
  listLastingScenarios,
  listOnceScenarios,
  runLastingScenarios,
  runOnceScenarios,
} from "../support/wrong-answers/run-scenarios.ts";

test("one wrong answer at any call loses nothing silently, and a pass of the next day finds what it hid", async ({
  annotate,
}) => {
  const results = await runOnceScenarios(await listOnceScenarios());
  const { broken, gap, ...counts } = countOutcomes(results);
  await annotate(
    `${results.length} wrong answers: ${counts["healed-a"]} healed within the pass, ${counts["healed-b"]} by the next, ${counts.fields} with other fields, ${counts.limit} within the limits, ${gap} gaps, ${broken} broken promises, ${counts["no-hit"]} that changed nothing`,
    "N11",
  );
  expect(results.filter(({ outcome }) => outcome === "broken" || outcome === "gap").map(describeResult)).toEqual([]);
});

test("wrong answers of an hour lose nothing silently, and heal within two days without an operator", async ({ annotate }) => {
  const results = await runLastingScenarios(listLastingScenarios());
  const { broken, gap, ...counts } = countOutcomes(results);
  await annotate(
    `${results.length} hours of wrong answers: ${counts["healed-b"]} healed, ${counts.fields} with other fields, ${counts.limit} within the limits, ${gap} gaps, ${broken} broken promises, ${counts["no-hit"]} that changed nothing`,
    "N11",
  );
  expect(results.filter(({ outcome }) => outcome === "broken" || outcome === "gap").map(describeResult)).toEqual([]);
});
