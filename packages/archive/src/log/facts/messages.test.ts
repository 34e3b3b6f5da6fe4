// Multi-line annotations: the runner stamps a message once, so only its first line has a timestamp.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { encode, stamp } from "../../../test-support/log-lines.ts";
import { LogEncoder } from "../log-format.ts";
import { logFacts } from "./log-facts.ts";

const messages = (text: string | Buffer, chunkBytes?: number) =>
  logFacts(encode(Buffer.from(text), chunkBytes), []).annotations.map(({ line_number, message }) => [line_number, message]);

test("lines without a timestamp below an annotation belong to its message", () => {
  const log = [
    `${stamp(1)}##[error]AssertionError: 4 is not 5`,
    "  + actual",
    "  - expected",
    `${stamp(1)}output of the program`,
    "its second line",
    `${stamp(2)}##[warning]`,
    "",
    "the disk is 91 % full",
    "",
    `${stamp(3)}##[notice]one line`,
    `${stamp(4)}##[error]`,
    `${stamp(4)}##[error]\u001b[31mred`,
    "##[error]a mark without a time is part of the message",
    "\u001b[0m",
  ].join("\n");
  const expected = [
    [1, "AssertionError: 4 is not 5\n  + actual\n  - expected"],
    [6, "the disk is 91 % full"],
    [10, "one line"],
    [11, ""],
    [12, "\u001b[31mred\n##[error]a mark without a time is part of the message\n\u001b[0m"],
  ];
  expect(messages(log)).toEqual(expected);
  expect(messages(log.replaceAll("\n", "\r\n"))).toEqual(expected);
  expect(messages(log.replaceAll("\n", "\n\uFEFF"))).toEqual(expected);
  for (let chunkBytes = 1; chunkBytes < 120; chunkBytes += 7) expect(messages(log, chunkBytes)).toEqual(expected);
});

test("a message has 500 characters at most, wherever its lines end, and no half of one", () => {
  const lines = (count: number, width: number) => Array.from({ length: count }, () => "x".repeat(width)).join("\n");
  const [[, message] = []] = messages(`${stamp(1)}##[error]${lines(50, 30)}\n`);
  expect(message).toBe(lines(50, 30).slice(0, 500));
  const [[, pairs] = []] = messages(`${stamp(1)}##[error]\n${"x".repeat(499)}😀\nmore\n${stamp(2)}end\n`);
  expect(pairs).toBe(`${"x".repeat(499)}\uFFFD`);
  const [[, exact] = []] = messages(`${stamp(1)}##[error]${"y".repeat(500)}\nmore`);
  expect(exact).toBe("y".repeat(500));
});

test("a message in any script has 500 characters, and no gap where a long line was cut", () => {
  const message = (text: string) => messages(`${stamp(1)}##[warning]${text}\nrest\n`)[0]?.[1];
  expect(message("語".repeat(400))).toBe(`${"語".repeat(400)}\nrest`);
  expect(message("語".repeat(600))).toBe("語".repeat(500));
  expect(message(`\n${"語".repeat(600)}`)).toBe("語".repeat(500));
});

test("a message of a million lines keeps the first ones, and the marks and groups after it are read", () => {
  const encoder = new LogEncoder();
  encoder.write(Buffer.from(`${stamp(1)}##[error]first\n`));
  for (let index = 0; index < 100; index += 1) encoder.write(Buffer.alloc(130_000, "at frame ()\n\n"));
  encoder.write(Buffer.from(`${stamp(2)}##[group]after\n${stamp(2)}##[error]last\n`));
  const { annotations, groups } = logFacts(encoder.end().totals, []);
  expect(annotations).toHaveLength(2);
  expect(annotations[0]?.message).toMatch(/^first(\nat frame \(\)\n){37}\nat frame \(\)$/);
  expect(annotations[1]).toMatchObject({ message: "last", line_number: 2_000_003 });
  expect(groups).toMatchObject([{ title: "after" }]);
});

test("a line without a time below any other line stays as it is", () => {
  const log = `${stamp(1)}##[group]a\nrest of a title\n${stamp(1)}##[endgroup]\n##[error]no mark\n${stamp(2)}##[command]x\ny\n`;
  const { annotations, groups } = logFacts(encode(Buffer.from(log)), []);
  expect(annotations).toEqual([]);
  expect(groups).toMatchObject([{ title: "a", first_line: 1, line_count: 3 }]);
});

const shared = fileURLToPath(new URL("../../../../../../shared/cases/multiline-annotation/", import.meta.url));

test.skipIf(!existsSync(shared))("the reported messages are complete (skipped without ../shared/cases)", () => {
  expect(messages(readFileSync(`${shared}log.txt`))).toEqual([
    [4, "Expected: 2\nReceived: 3\n    at sum (sum.test.ts:4:5)"],
    [7, "boom in b.test.ts"],
    [9, "one line"],
    [11, "Process completed with exit code 1."],
  ]);
});
