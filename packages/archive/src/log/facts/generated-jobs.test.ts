// No line of a generated job is assigned to a step that did not print it. test/faults/step-lines.fault.test.ts does it for 10,000 jobs.

import { expect, test } from "vitest";

import { jobKinds, measureKind } from "../../../test-support/generated-kinds.ts";

test.each(Object.keys(jobKinds))("no line is assigned to a wrong step: %s", (kind) => {
  expect(measureKind(kind, { jobs: 20, firstSeed: 1 })).toMatchObject({ wrong: 0, wrongSeeds: [] });
});

// A splitter that assigns no line would never be wrong, so the share of assigned lines is checked, too.
test.each([
  ["ordinary steps", 0.5, 100],
  ["composites with markers", 0.5, 100],
  ["composites without markers", 25, 75],
  ["background steps", 45, 95],
  ["parallel groups", 60, 80],
  ["clock set back", 1, 99],
  ["clock set forward", 0.5, 100],
])("most lines are given to a step: %s", (kind, unassigned, firstLines) => {
  const figures = measureKind(kind, { jobs: 60, firstSeed: 1_000 });
  expect(figures.unassignedPercent).toBeLessThanOrEqual(unassigned);
  expect(figures.firstLinePercent).toBeGreaterThanOrEqual(firstLines);
});
