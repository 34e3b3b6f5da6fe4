// The scanner's answers about lines, for chunks of every size.

import { expect, test } from "vitest";

import { type Line, LineScanner } from "./line-scanner.ts";

const stamp = (second: number) => `2024-05-06T07:08:${String(second).padStart(2, "0")}.1234567Z `;

function scan(text: string, chunkBytes = text.length || 1) {
  const bytes = Buffer.from(text);
  const lines: Line[] = [];
  const scanner = new LineScanner((line) => lines.push(line));
  for (let at = 0; at < bytes.length; at += chunkBytes) scanner.scan(bytes.subarray(at, at + chunkBytes));
  return {
    ...scanner.end(),
    starts: lines.map(({ start }) => start),
    markers: lines.flatMap(({ isMarker }, index) => (isMarker ? [index] : [])),
  };
}

test("lines, times and oddities are counted", () => {
  const text = `\uFEFF${stamp(1)}first\r\n${stamp(2)}second\nno time here\n${stamp(3)}\n${stamp(4)}last without newline`;
  expect(scan(text)).toMatchInlineSnapshot(`
    {
      "crlf": 1,
      "firstTime": "2024-05-06T07:08:01.1234567Z",
      "hasEndMarker": false,
      "lastTime": "2024-05-06T07:08:04.1234567Z",
      "lines": 5,
      "linesWithoutTime": 1,
      "markers": [],
      "starts": [
        0,
        39,
        75,
        88,
        118,
      ],
    }
  `);
});

test("every marker of the runner is seen after a time, and nowhere else", () => {
  const markers = [
    "##[group]Run make",
    "##[section]Starting",
    "Post job cleanup.",
    "Cleaning up orphan processes",
    "Current runner version: '2.1'",
  ];
  const others = ["##[endgroup]", "##[error]no", "x Post job cleanup.", "##[grou", "Cleaning up"];
  const text = [...markers, ...others].map((line, index) => `${stamp(index)}${line}\n`).join("") + markers.join("\n");
  expect(scan(text).markers).toEqual([0, 1, 2, 3, 4]);
});

test("a time with fields out of range, or with fewer digits, is no time", () => {
  const lines = [
    "2024-13-06T07:08:09.1234567Z ",
    "2024-05-00T07:08:09.1234567Z ",
    "2024-05-06T24:08:09.1234567Z ",
    "2024-05-06T07:08:09.123Z ",
    "2024-05-06T07:08:09.123456",
  ];
  const totals = scan(lines.join("\n"));
  expect(totals).toMatchObject({ lines: 5, linesWithoutTime: 5 });
  expect(totals).not.toHaveProperty("firstTime");
  expect(totals).not.toHaveProperty("lastTime");
});

test("the end marker counts within the last 30 lines only", () => {
  const end = `${stamp(1)}Cleaning up orphan processes\n`;
  const after = (lines: number) => `${end}${`${stamp(2)}Terminate\n`.repeat(lines)}`;
  expect(scan(after(29)).hasEndMarker).toBe(true);
  expect(scan(after(30)).hasEndMarker).toBe(false);
  expect(scan(`\uFEFF${end.trimEnd()}`).hasEndMarker).toBe(true);
});

test("the answers do not depend on how the bytes arrive", () => {
  const text = `\uFEFF${stamp(1)}Cleaning up orphan processes\r\n\r\n\n${stamp(2)}##[group]a\n${"x".repeat(300)}\n${stamp(3)}Post job cleanup.\r\nshort\n${stamp(4)}`;
  const whole = scan(text);
  for (let chunkBytes = 1; chunkBytes < 140; chunkBytes += 1) expect(scan(text, chunkBytes)).toEqual(whole);
});
