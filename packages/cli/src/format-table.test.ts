// A table never exceeds the terminal's width, and never cuts what identifies a row.

import fc from "fast-check";
import stringWidth from "string-width";
import { expect, test } from "vitest";

import { formatTable } from "./format-table.ts";

const row = {
  at: new Date("2026-05-01T10:00:00Z"),
  repository: "acme/a-rather-long-name-of-a-repository",
  job_id: 61_901_817_921,
  name: "build (ubuntu-24.04, node 26, with everything that a matrix may hold)",
};

test("without a terminal a table is as wide as its cells", () => {
  expect(formatTable([row, { ...row, job_id: 7, name: null }], undefined).replaceAll(/ +$/gm, "")).toMatchInlineSnapshot(`
    " at                   │ repository                              │      job_id │ name
    ──────────────────────┼─────────────────────────────────────────┼─────────────┼───────────────────────────────────────────────────────────────────────
     2026-05-01T10:00:00Z │ acme/a-rather-long-name-of-a-repository │ 61901817921 │ build (ubuntu-24.04, node 26, with everything that a matrix may hold)
     2026-05-01T10:00:00Z │ acme/a-rather-long-name-of-a-repository │           7 │ –"
  `);
});

test("the longest text is wrapped first, and ids and times stay complete", () => {
  expect(formatTable([row], 100).replaceAll(/ +$/gm, "")).toMatchInlineSnapshot(`
    " at                   │ repository                    │      job_id │ name
    ──────────────────────┼───────────────────────────────┼─────────────┼───────────────────────────────
     2026-05-01T10:00:00Z │ acme/a-rather-long-name-of-a- │ 61901817921 │ build (ubuntu-24.04, node 26,
                          │ repository                    │             │ with everything that a matrix
                          │                               │             │ may hold)"
  `);
});

test("when not even ids and times fit, each row is a block", () => {
  expect(formatTable([row], 40)).toMatchInlineSnapshot(`
    "── 1 ──
    at         │ 2026-05-01T10:00:00Z
    repository │ acme/a-rather-long-name-of-a-repository
    job_id     │ 61901817921
    name       │ build (ubuntu-24.04, node 26, with everything that a matrix may hold)"
  `);
});

test("wide characters count twice, and control characters are shown", () => {
  const table = formatTable([{ name: "目黒".repeat(30), job_id: 1, hostile: "\u001B[2J\u202Eevil" }], 60);
  for (const line of table.split("\n")) expect(stringWidth(line)).toBeLessThanOrEqual(60);
  expect(table).toContain("^[[2J<U+202E>");
});

test("in a pipe no text is shortened, and null differs from an empty text", () => {
  const detail = "x".repeat(300);
  expect(formatTable([{ detail }], undefined)).toContain(detail);
  expect(formatTable([{ one: null }], 40)).toContain("–");
  expect(formatTable([{ one: "" }], 40)).not.toContain("–");
});

test("no rows are reported, and rows without columns do no harm", () => {
  expect(formatTable([])).toBe("(no rows)");
  expect(() => formatTable([{}])).not.toThrow();
});

test("a table of any rows fits its width with every id and time in it, or consists of blocks", () => {
  const value = fc.record({
    id: fc.maxSafeNat(),
    time: fc.date({ min: new Date("1970-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
    one: fc.string({ unit: "binary", maxLength: 50 }),
    two: fc.oneof(fc.string({ unit: "grapheme" }), fc.constant(null), fc.boolean(), fc.array(fc.string())),
  });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), fc.integer({ min: 20, max: 200 }), (rows, width) => {
      const table = formatTable(rows, width);
      for (const { id, time } of rows) {
        expect(table).toContain(String(id));
        expect(table).toContain(time.toISOString().replace(".000Z", "Z"));
      }
      const isTable = !table.startsWith("── 1 ──");
      const widest = Math.max(...table.split("\n").map((line) => stringWidth(line)));
      expect(widest).toBeLessThanOrEqual(isTable ? width : Infinity);
    }),
  );
});
