// A byte order mark at the start of any line changes no facts and no stored bytes.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import fc from "fast-check";
import { expect, test } from "vitest";

import { encode, jobStep, stamp } from "../../../test-support/log-lines.ts";
import { logFacts } from "../facts/log-facts.ts";
import { LogEncoder, minFrameBytes } from "../log-format.ts";
import { skipByteOrderMarks } from "./byte-order-mark.ts";
import { LineScanner, type LineText } from "./line-scanner.ts";

const mark = "\uFEFF";
const marks = (count: number) => Buffer.from(mark.repeat(count));

/** A job that deploys; blocks of its log begin at its third step, at an error and at its post step. */
const deploy = [
  `${mark}${stamp(0.1)}Current runner version: '2.336.0'`,
  `${stamp(0.2)}Prepare all required actions`,
  `${stamp(0.2)}Getting action download info`,
  `${stamp(0.3)}Download action repository 'acme/login@v3' (SHA:${"b".repeat(40)})`,
  `${stamp(2.1)}##[group]Run acme/login@v3`,
  `${stamp(2.1)}##[endgroup]`,
  `${stamp(2.9)}logged in`,
  `${mark}${stamp(4.1)}##[group]Run ./deploy.sh`,
  `${stamp(4.1)}\u001b[36;1m./deploy.sh\u001b[0m`,
  `${stamp(4.1)}##[endgroup]`,
  `${mark}${stamp(5.1)}##[error]the host db-7 does not answer`,
  `${stamp(5.2)}##[error]Process completed with exit code 69.`,
  `${mark}${stamp(7.1)}Post job cleanup.`,
  `${stamp(9.1)}Cleaning up orphan processes`,
];
const steps = [
  jobStep(1, "Set up job", [0, 1]),
  jobStep(2, "Run acme/login@v3", [2, 3]),
  jobStep(3, "Run ./deploy.sh", [4, 6], { conclusion: "failure" }),
  jobStep(5, "Post Run acme/login@v3", [7, 8]),
  jobStep(6, "Complete job", [9, 9]),
];

test("lines that begin a block of the runner's log have their time, their step and their message", () => {
  const totals = encode(Buffer.from(`${deploy.join("\n")}\n`));
  const { sections, annotations, action_uses } = logFacts(totals, steps);
  expect(totals).toMatchObject({ lines: 14, oddities: { bom: true, linesWithoutTime: 0 }, tail: { hasEndMarker: true } });
  expect(sections.map(({ step_number, first_line, line_count }) => [step_number, first_line, line_count])).toEqual([
    [1, 1, 4],
    [2, 5, 3],
    [3, 8, 5],
    [5, 13, 1],
    [6, 14, 1],
  ]);
  expect(annotations).toEqual([
    { step_number: 3, level: "error", line_number: 11, message: "the host db-7 does not answer" },
    { step_number: 3, level: "error", line_number: 12, message: "Process completed with exit code 69." },
  ]);
  expect(action_uses).toMatchObject([{ step_number: 2, action: "acme/login" }]);
});

function textsOf(bytes: Buffer, chunkBytes: number): Pick<LineText, "start" | "end" | "time" | "text">[] {
  const texts: LineText[] = [];
  const scanner = new LineScanner({ onLine: () => true, onText: (line) => void texts.push(line) });
  for (let at = 0; at < bytes.length; at += chunkBytes) scanner.scan(bytes.subarray(at, at + chunkBytes));
  scanner.end();
  return texts.map(({ start, end, time, text }) => ({ start, end, time, text }));
}

test("several marks, marks alone on a line or at the end, and marks cut by a chunk's end are skipped", () => {
  const bytes = Buffer.from(
    `${mark}${mark}${stamp(1)}two\r\n${mark}\n${mark}\r\n${stamp(2)}${mark}inside\n${mark}no time${mark}\n${mark}`,
  );
  const whole = textsOf(bytes, bytes.length);
  expect(whole.map(({ time, text }) => [time, text])).toEqual([
    [stamp(1).trim(), "two"],
    [undefined, ""],
    [undefined, ""],
    [stamp(2).trim(), `${mark}inside`],
    [undefined, `no time${mark}`],
    [undefined, ""],
  ]);
  expect(whole.map(({ start }) => start)).toEqual([0, ...whole.slice(0, -1).map(({ end }) => end)]);
  for (let chunkBytes = 1; chunkBytes <= 130; chunkBytes += 1) expect(textsOf(bytes, chunkBytes)).toEqual(whole);
});

test("a line of many marks needs no memory, and its text begins after the first eight", () => {
  expect(skipByteOrderMarks(marks(9), 0, 27)).toBe(24);
  const encoder = new LogEncoder();
  for (let index = 0; index < 12; index += 1) encoder.write(marks(400_000));
  const { totals } = encoder.end();
  expect(totals).toMatchObject({ lines: 1, rawBytes: 14_400_000, oddities: { linesWithoutTime: 1 } });
});

test("an incomplete mark is text", () => {
  const half = marks(2).subarray(0, 5);
  expect([skipByteOrderMarks(half, 0, 5), skipByteOrderMarks(half, 3, 5), skipByteOrderMarks(half, 0, 2)]).toEqual([3, 3, 0]);
});

test("frames end where they did when marks hid their lines: a log that is stored again is the same object", () => {
  const filler = `${stamp(3)}some output of a usual length\n`.repeat(Math.ceil(minFrameBytes / 50));
  const group = `${stamp(4)}##[group]Run make\n`;
  const { frames, rawBytes } = encode(Buffer.from(`${filler}${mark}${group}${filler}${group}${filler}`));
  const second = 2 * filler.length + 3 + group.length;
  expect(frames.map(({ rawStart }) => rawStart)).toEqual([0, second]);
  expect(rawBytes).toBe(second + group.length + filler.length);
});

const line = fc
  .tuple(
    fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 10 })),
    fc.oneof(
      fc.constantFrom(
        "Current runner version: '2.336.0'",
        "Cache mode: read",
        "Runner name: 'rack-7'",
        "##[group]GITHUB_TOKEN Permissions",
        "Contents: read",
        "##[group]Run make",
        "##[group]Run acme/login@v3",
        "##[endgroup]",
        "##[error]boom",
        "##[warning]",
        "Post job cleanup.",
        "Cleaning up orphan processes",
        "Prepare all required actions",
        "Getting action download info",
        `Download action repository 'acme/login@v3' (SHA:${"b".repeat(40)})`,
        "##[command]/usr/bin/docker pull postgres:17",
        "##[start-action display=x;id=a]",
        "##[debug]Evaluating condition for step: 'Make'",
      ),
      fc.string({ maxLength: 40 }).map((text) => text.replaceAll("\n", " ")),
    ),
    fc.constantFrom("\n", "\r\n"),
  )
  .map(([at, text, end]) => `${at === undefined ? "" : stamp(at)}${text}${end}`);

test("a mark at the start of any line changes no fact, no section and no time", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(line, fc.nat({ max: 8 })), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 200 }),
      (lines, chunkBytes) => {
        const plain = encode(Buffer.from(lines.map(([text]) => text).join("")));
        const marked = encode(Buffer.from(lines.map(([text, count]) => mark.repeat(count) + text).join("")), chunkBytes);
        const { sections, ...facts } = logFacts(marked, steps);
        const { sections: plainSections, ...plainFacts } = logFacts(plain, steps);
        expect(facts).toEqual(plainFacts);
        expect([marked.lines, marked.firstTime, marked.lastTime, marked.tail]).toEqual([
          plain.lines,
          plain.firstTime,
          plain.lastTime,
          plain.tail,
        ]);
        const { bom, ...oddities } = marked.oddities;
        expect(oddities).toEqual({ crlf: plain.oddities.crlf, nul: 0, linesWithoutTime: plain.oddities.linesWithoutTime });
        expect(bom).toBe((lines[0]?.[1] ?? 0) > 0);
        const before = (first: number) => lines.slice(0, first).reduce((sum, [, count]) => sum + 3 * count, 0);
        expect(sections).toEqual(
          plainSections.map(({ first_line, line_count, raw_start, raw_bytes, ...section }) => ({
            ...section,
            first_line,
            line_count,
            raw_start: raw_start + before(first_line - 1),
            raw_bytes: raw_bytes + before(first_line - 1 + line_count) - before(first_line - 1),
          })),
        );
      },
    ),
    { numRuns: 300 },
  );
});

const shared = fileURLToPath(new URL("../../../../../../shared/cases/mid-log-bom/", import.meta.url));

test.skipIf(!existsSync(shared))(
  "the reported log of several blocks is read completely (skipped without ../shared/cases)",
  () => {
    const job = JSON.parse(readFileSync(`${shared}job.json`, "utf8")) as {
      // The file is part of the case, and never changes.
      steps: { number: number; name: string; conclusion: string; started_at: string; completed_at: string }[];
    };
    const totals = encode(readFileSync(`${shared}log.txt`));
    const { sections, annotations } = logFacts(
      totals,
      job.steps.map(({ number, name, ...step }) => ({ step_number: number, step_name: name, ...step })),
    );
    expect(totals).toMatchObject({ lines: 17, oddities: { linesWithoutTime: 0 } });
    expect(sections.map(({ step_number, first_line, line_count }) => `${step_number}:${first_line}+${line_count}`)).toEqual([
      "1:1+5",
      "2:6+3",
      "3:9+7",
      "5:16+1",
      "6:17+1",
    ]);
    expect(annotations.map(({ step_number, line_number, message }) => [step_number, line_number, message])).toEqual([
      [3, 14, "one test failed"],
      [3, 15, "Process completed with exit code 1."],
    ]);
  },
);
