// The scanner's results for chunks of every size.

import { expect, test } from "vitest";

import { isStamp, type Line, LineScanner, type LineText, maxTextBytes, stampLength } from "./line-scanner.ts";

const stamp = (second: number) => `2024-05-06T07:08:${String(second).padStart(2, "0")}.1234567Z `;

function scan(text: string, chunkBytes = text.length || 1) {
  const bytes = Buffer.from(text);
  const lines: Line[] = [];
  const texts: LineText[] = [];
  const scanner = new LineScanner({
    onLine(line) {
      lines.push({ ...line });
      return true;
    },
    onText: (line) => void texts.push(line),
  });
  for (let at = 0; at < bytes.length; at += chunkBytes) scanner.scan(bytes.subarray(at, at + chunkBytes));
  return {
    ...scanner.end(),
    starts: lines.map(({ start }) => start),
    markers: lines.flatMap(({ endsFrame }, index) => (endsFrame ? [index] : [])),
    texts: texts.map((line) => line.text),
    times: texts.map((line) => line.time),
    ends: texts.map((line) => line.end),
  };
}

test("lines, times and oddities are counted", () => {
  const text = `\uFEFF${stamp(1)}first\r\n${stamp(2)}second\nno time here\n${stamp(3)}\n${stamp(4)}last without newline`;
  expect(scan(text)).toMatchInlineSnapshot(`
    {
      "crlf": 1,
      "ends": [
        39,
        75,
        88,
        118,
        167,
      ],
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
      "texts": [
        "first",
        "second",
        "no time here",
        "",
        "last without newline",
      ],
      "times": [
        "2024-05-06T07:08:01.1234567Z",
        "2024-05-06T07:08:02.1234567Z",
        undefined,
        "2024-05-06T07:08:03.1234567Z",
        "2024-05-06T07:08:04.1234567Z",
      ],
    }
  `);
});

test("every marker of the runner is recognised after a timestamp, and nowhere else", () => {
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

test("a timestamp with fields out of range or with fewer digits is not recognised", () => {
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

test("a timestamp is recognised at any offset", () => {
  const bytes = Buffer.from(`x${stamp(59)}${stamp(60)}`);
  expect([isStamp(bytes, 1), isStamp(bytes, 2), isStamp(bytes, 1 + stampLength)]).toEqual([true, false, false]);
});

test("the end marker counts within the last 30 lines only", () => {
  const end = `${stamp(1)}Cleaning up orphan processes\n`;
  const after = (lines: number) => `${end}${`${stamp(2)}Terminate\n`.repeat(lines)}`;
  expect(scan(after(29)).hasEndMarker).toBe(true);
  expect(scan(after(30)).hasEndMarker).toBe(false);
  expect(scan(`\uFEFF${end.trimEnd()}`).hasEndMarker).toBe(true);
});

test("the results do not depend on how the bytes arrive", () => {
  const text = `\uFEFF${stamp(1)}Cleaning up orphan processes\r\n\r\n\n${stamp(2)}##[group]a\n${"x".repeat(300)}\n${stamp(3)}Post job cleanup.\r\nshort\n${stamp(4)}`;
  const whole = scan(text);
  for (let chunkBytes = 1; chunkBytes < 140; chunkBytes += 1) expect(scan(text, chunkBytes)).toEqual(whole);
});

test("a line's text is its own: without time and line ending, the head of a long one, and nothing that Postgres refuses", () => {
  const long = "é".repeat(maxTextBytes);
  const text = `\uFEFF${stamp(1)}first\r\nno time\0\n${stamp(2)}${long}\n${stamp(3)}${"x".repeat(70_000)}\n\n${stamp(4)}`;
  const { texts, times } = scan(text);
  expect(texts).toEqual(["first", "no time\uFFFD", "é".repeat(maxTextBytes / 2), "x".repeat(maxTextBytes), "", ""]);
  expect(times).toEqual([1, undefined, 2, 3, undefined, 4].map((second) => second && stamp(second).trim()));
});

test("invalid UTF-8 becomes U+FFFD", () => {
  const texts: string[] = [];
  const scanner = new LineScanner({ onLine: () => true, onText: ({ text }) => void texts.push(text) });
  scanner.scan(Buffer.concat([Buffer.from(`${stamp(1)}a`), Buffer.of(0xff, 0xc3), Buffer.from("b\n")]));
  scanner.end();
  expect(texts).toEqual(["a\uFFFD\uFFFDb"]);
});

test("a time with any byte in its fraction changed is one only while all seven are digits", () => {
  // After a line of the same second, which is compared and not read.
  const first = Buffer.from(`${stamp(1)}first\n`);
  const second = Buffer.from(`${stamp(1)}second\n`);
  for (let at = "2024-05-06T07:08:01.".length; at < stampLength - 1; at += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      if (byte === 0x0a) continue;
      const line = Buffer.from(second);
      line[at] = byte;
      const seconds: number[] = [];
      const scanner = new LineScanner({ onLine: (found) => seconds.push(found.second) < 0, onText: () => undefined });
      scanner.scan(Buffer.concat([first, line]));
      const isTime = at === stampLength - 2 ? byte === 0x5a : byte >= 0x30 && byte <= 0x39;
      expect([at, byte, seconds[1]]).toEqual([at, byte, isTime ? seconds[0] : -1]);
    }
  }
});

test("plain lines are counted and not reported while they are not wanted, however the bytes arrive", () => {
  const plain = `${stamp(2)}plain\r\n${stamp(2)}\n${stamp(2)}##[other]\n${stamp(2).trim()}\n`.repeat(3);
  const text = `${stamp(2)}first\n${plain}${stamp(2)}##[group]a\n${plain}no time\n${plain}\uFEFF${stamp(2)}mark\n${plain}${stamp(3)}last\n`;
  const notPlain = ["first", "##[group]a", "no time", "mark", "last"];
  const bytes = Buffer.from(text);
  for (let chunkBytes = bytes.length; chunkBytes > 0; chunkBytes -= 7) {
    const texts: string[] = [];
    const scanner = new LineScanner({
      onLine: () => true,
      onText: (line) => void texts.push(line.text),
      wantsPlain: () => false,
    });
    for (let at = 0; at < bytes.length; at += chunkBytes) scanner.scan(bytes.subarray(at, at + chunkBytes));
    const all = scan(text, chunkBytes);
    expect(all).toMatchObject(scanner.end());
    // A plain line that a chunk cuts is reported all the same.
    const cuts = Math.ceil(bytes.length / chunkBytes) - 1;
    expect(texts.length).toBeLessThanOrEqual(notPlain.length + cuts);
    expect(texts.filter((each) => notPlain.includes(each))).toEqual(notPlain);
  }
});

test("NUL bytes before the first time are no time", () => {
  const text = `${"\0".repeat(20)}1234567Z \n`;
  const scanner = new LineScanner({ onLine: () => false, onText: () => undefined, wantsPlain: () => false });
  scanner.scan(Buffer.from(text.repeat(2)));
  expect(scanner.end()).toMatchObject({ lines: 2, linesWithoutTime: 2 });
});
