// A job object becomes columns field by field: no input throws, and an invalid field loses only itself.

import fc from "fast-check";
import { expect, test } from "vitest";

import { jobObject, stepObject } from "../../test-support/samples.ts";
import { instant, jobColumns, text } from "./job-rows.ts";

const anything = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(undefined, Number.NaN, Infinity, 2 ** 60, -1, "\0", "\ud800", "9999-12-31T23:59:59-12:00"),
);

function isTaken(column: unknown): boolean {
  if (typeof column === "string") return column.isWellFormed() && !column.includes("\0");
  return column === null || Number.isSafeInteger(column);
}

test("no JSON makes it throw", () => {
  fc.assert(fc.property(anything, (object) => void jobColumns(object)));
});

test("any field of a job becomes columns that Postgres accepts", () => {
  const fields = Object.keys(jobObject()).filter((name) => name !== "id" && name !== "run_id");
  fc.assert(
    fc.property(fc.constantFrom(...fields), anything, (name, value) => {
      const columns = jobColumns(jobObject({ [name]: value }));
      expect(columns).toBeDefined();
      const values: unknown[] = [...Object.values({ ...columns, labels: null, steps: null }), ...(columns?.labels ?? [])];
      expect(values.filter((column) => !isTaken(column))).toEqual([]);
    }),
  );
});

test("whatever stands in a field of a step, its number stays one of int4, and each stands once", () => {
  const fields = Object.keys(stepObject(1));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...fields), anything), { maxLength: 6 }), (odd) => {
      const steps = odd.map(([name, value], index) => stepObject(index % 3, { [name]: value }));
      const numbers = jobColumns(jobObject({ steps }))?.steps.map(({ step_number }) => step_number) ?? [];
      expect(new Set(numbers).size).toBe(numbers.length);
      for (const number of numbers) expect(number >= 0 && number < 2 ** 31).toBe(true);
    }),
  );
});

test.each([undefined, null, 7, "text", [], {}, { id: 1 }, { id: 0, run_id: 2 }, { id: "1", run_id: 2 }])(
  "an object without a job's and a run's id is no job: %j",
  (object) => {
    expect(jobColumns(object)).toBeUndefined();
  },
);

test("text that Postgres refuses is replaced and not truncated", () => {
  expect(text("a\0b\ud800c")).toBe("a\uFFFDb\uFFFDc");
  expect(text("😀 日本語")).toBe("😀 日本語");
  expect(text(7)).toBeNull();
});

test.each([
  ["2020-01-20T09:42:40.000-08:00", "2020-01-20T17:42:40.000Z"],
  ["2026-05-01T10:00:00Z", "2026-05-01T10:00:00.000Z"],
  ["2026-05-01T10:00:00+05:30", "2026-05-01T04:30:00.000Z"],
  ["9999-12-31T23:59:59-12:00", null],
  ["0000-01-01T00:00:00Z", null],
  ["0000-01-01T00:00:00+12:00", null],
  ["2026-13-01T00:00:00Z", null],
  ["yesterday", null],
  [1_767_225_600, null],
])("the instant of %j is %j", (value, expected) => {
  expect(instant(value)).toBe(expected);
});
