// A search finds exactly the lines that a test of each line finds, however the log is divided into frames.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";

import type { LineLimits } from "./line-blocks.ts";
import { compilePattern, maxPatternLength } from "./line-matcher.ts";
import { type LineMatch, maxExcerptLength, searchText, type TextSearch } from "./search-text.ts";

type Options = { readonly fixed?: boolean; readonly ignoreCase?: boolean };
type Found = TextSearch & { readonly matches: LineMatch[] };

const stamp = "2024-05-06T07:08:09.1234567Z";

async function* framesOf(text: Buffer, sizes: readonly number[]): AsyncIterable<Buffer> {
  for (let at = 0, index = 0; at < text.length; index += 1) {
    const size = sizes[index % sizes.length] ?? text.length;
    yield text.subarray(at, at + size);
    at += size;
  }
}

async function search(
  text: Buffer | string,
  pattern: string,
  { sizes = [1_000_000], limits, ...options }: Options & { sizes?: readonly number[]; limits?: LineLimits } = {},
): Promise<Found> {
  const matches: LineMatch[] = [];
  const found = await searchText(
    framesOf(Buffer.from(text), sizes),
    compilePattern(pattern, options),
    (match) => void matches.push(match),
    limits,
  );
  return { ...found, matches };
}

/** The reference: tests each line separately. */
function searchPlainly(text: Buffer, pattern: string, { fixed = false, ignoreCase = false }: Options): unknown[] {
  const lines = text.toString("latin1").split("\n");
  if (lines.at(-1) === "") lines.pop();
  const re = RE2JS.compile(fixed ? RE2JS.quote(pattern) : pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  return lines.flatMap((bytes, index) => {
    let line = Buffer.from(bytes, "latin1")
      .toString("utf8")
      .replace(/^\uFEFF{1,8}/, "");
    const isLast = index === lines.length - 1 && text.at(-1) !== 10;
    if (!isLast) line = line.replace(/\r$/, "");
    const [, time = null, rest = line] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z)(?: |$)([^]*)$/.exec(line) ?? [];
    return re.test(rest) ? [{ line_number: index + 1, time, text: rest, left_out: [0, 0] }] : [];
  });
}

const word = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("foo", "bar", "a", "aa", " ", "FOO", "é", "x1", "1", "-", "\t", "Z ", "2024", "\r") },
  { weight: 1, arbitrary: fc.constantFrom("\0", "\u001B[31m", "日本", "😀", "\uFEFF", "\u2028") },
);
const bytes = fc.oneof(
  { weight: 12, arbitrary: fc.array(word, { maxLength: 6 }).map((words) => Buffer.from(words.join(""))) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array)) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 70_000 }).map((size) => Buffer.alloc(size, "fill ")) },
);
const line = fc
  .tuple(
    fc.constantFrom("", "", "", "\uFEFF", "\uFEFF\uFEFF"),
    fc.constantFrom("", `${stamp} `, stamp, `${stamp}  `),
    bytes,
    fc.constantFrom("\n", "\n", "\r\n"),
  )
  .map(([marks, time, text, end]) => Buffer.concat([Buffer.from(marks + time), text, Buffer.from(end)]));
const log = fc.tuple(fc.array(line, { maxLength: 12 }), bytes).map(([lines, rest]) => Buffer.concat([...lines, rest]));
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 100_000 })), {
  minLength: 1,
  maxLength: 4,
});
const plain = [
  "foo",
  "a*",
  "(a+)+$",
  "[^a]foo",
  "foo|bar",
  "f.*r",
  "\\d{4}",
  "é",
  "\\s",
  "x\\d?",
  "\\x{FEFF}",
  "[[:digit:]]",
  "\\Q^\\E",
];
const anchored = ["^foo", "foo$", "^$", "\\bfoo\\b", "\\Bo\\B", "\\Afoo", "bar\\z", "^[^f]*$", "(?-s:^a)", "\\[^foo"];
const flagged = ["(?i)foo", "(?s).foo", "(?i:é)"];
const pattern = fc.constantFrom(...plain, ...anchored, ...flagged);

test("the lines found, their numbers, times and texts equal those of a test of each line", async () => {
  await fc.assert(
    fc.asyncProperty(log, sizes, pattern, fc.boolean(), async (text, frameSizes, source, ignoreCase) => {
      // Small frames of a long text make the test slow, not the search.
      const cut = text.length > 5000 ? frameSizes.map((size) => size + 500) : frameSizes;
      const { matches, rawBytes } = await search(text, source, { ignoreCase, sizes: cut });
      const short = matches.map((match) => (match.left_out[0] + match.left_out[1] > 0 ? match.line_number : match));
      const expected = searchPlainly(text, source, { ignoreCase }).map((match) => {
        // searchPlainly creates objects of this shape.
        const { line_number, text: whole } = match as LineMatch;
        return whole.length > maxExcerptLength ? line_number : match;
      });
      expect(short).toEqual(expected);
      expect(rawBytes).toBe(text.length);
    }),
    { numRuns: 400 },
  );
});

test("a fixed text is found literally, without special characters", async () => {
  const needle = fc.constantFrom("foo", "a", "é", "1", "Z ", " ", "2024", "-05-", "^[", "😀", "\0", "\t", "o b", "aaa", "\r");
  await fc.assert(
    fc.asyncProperty(log, sizes, needle, fc.boolean(), async (text, frameSizes, source, ignoreCase) => {
      const cut = text.length > 5000 ? frameSizes.map((size) => size + 500) : frameSizes;
      const { matches } = await search(text, source, { fixed: true, ignoreCase, sizes: cut });
      const expected = searchPlainly(text, source, { fixed: true, ignoreCase });
      expect(matches.map(({ line_number }) => line_number)).toEqual(expected.map((match) => (match as LineMatch).line_number));
    }),
    { numRuns: 400 },
  );
});

test("a line at the start of the runner's block is matched from its first character to its last", async () => {
  const text = `\uFEFF${stamp} first\n\uFEFF${stamp} ##[error]the host db-7 does not answer\r\n\uFEFFno time\n${stamp} \uFEFFinside\n\uFEFF`;
  const error = { line_number: 2, time: stamp, text: "##[error]the host db-7 does not answer", left_out: [0, 0] };
  const sources = [
    "^##\\[error\\]the host",
    "^##",
    "(?i)^##\\[ERROR",
    "db-7 does not answer$",
    "^.{9}the host db-7 does not answer$",
  ];
  for (const source of sources) expect((await search(text, source, { sizes: [7] })).matches, source).toEqual([error]);
  expect((await search(text, "##[error]the", { fixed: true })).matches).toEqual([error]);
  expect((await search(text, "^no time$")).matches).toMatchObject([{ line_number: 3, time: null }]);
  expect((await search(text, "^first$")).matches).toMatchObject([{ line_number: 1, time: stamp }]);
  expect((await search(text, "\uFEFF", { fixed: true })).matches).toMatchObject([{ line_number: 4, text: "\uFEFFinside" }]);
  expect((await search(text, "^$")).matches).toMatchObject([{ line_number: 5 }]);
});

test("byte order marks before a line change neither its number, its time nor its text", async () => {
  const lines = fc.array(fc.tuple(fc.nat({ max: 3 }), line), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(lines, pattern, fc.boolean(), async (marked, source, ignoreCase) => {
      const unmarked = marked.map(([, raw]) => Buffer.from(raw.toString("latin1").replace(/^(?:\xEF\xBB\xBF)+/, ""), "latin1"));
      const text = unmarked.map((raw, index) => Buffer.concat([Buffer.from("\uFEFF".repeat(marked[index]?.[0] ?? 0)), raw]));
      const find = async (parts: readonly Buffer[]) => (await search(Buffer.concat(parts), source, { ignoreCase })).matches;
      expect(await find(text)).toEqual(await find(unmarked));
    }),
    { numRuns: 200 },
  );
});

const shared = fileURLToPath(new URL("../../../../../shared/cases/mid-log-bom/log.txt", import.meta.url));

test.skipIf(!existsSync(shared))("the reported line is found with its time (skipped without ../shared/cases)", async () => {
  const { matches } = await search(readFileSync(shared), "^##\\[error\\]one test failed", { sizes: [100] });
  expect(matches).toEqual([
    { line_number: 14, time: "2026-09-01T10:00:06.1234567Z", text: "##[error]one test failed", left_out: [0, 0] },
  ]);
});

const limits = { pieceBytes: 100, overlapBytes: 20 };

test("a long line is searched in pieces, and a match no longer than their overlap is found once, wherever it is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1000), fc.nat(1000), sizes, fc.boolean(), async (before, after, frameSizes, fixed) => {
      const text = `${stamp} one\n\uFEFF${stamp} ${"x".repeat(before)}a needle of twenty.${"x".repeat(after)}\nneedle\n`;
      const { matches, unprovenLines } = await search(text, "needle of", { fixed, sizes: frameSizes, limits });
      expect(matches.map(({ line_number, time }) => ({ line_number, time }))).toEqual([{ line_number: 2, time: stamp }]);
      expect(matches[0]?.text).toContain("needle of");
      expect(unprovenLines).toBe(0);
    }),
  );
});

test("a long line without a match is reported when a match could be longer than the overlap", async () => {
  const text = `begin ${"x".repeat(5000)} end\nshort\n${"y".repeat(300)}`;
  expect(await search(text, "begin.*end", { sizes: [70], limits })).toMatchObject({ matches: [], unprovenLines: 2 });
  expect(await search(text, "begin", { sizes: [70], limits })).toMatchObject({ matches: [{ line_number: 1 }], unprovenLines: 1 });
  expect(await search(text, "begin.*end", { fixed: true, sizes: [70], limits })).toMatchObject({ matches: [], unprovenLines: 0 });
  expect(await search(text, "nothing", { fixed: true, ignoreCase: true, sizes: [70], limits })).toMatchObject({
    unprovenLines: 0,
  });
  expect(await search(text, "begin.*end")).toMatchObject({ matches: [{ line_number: 1 }], unprovenLines: 0 });
});

test("of a long line, the text around the match is shown, with the length of the rest", async () => {
  const { matches } = await search(`${"é".repeat(3000)}needle${"😀".repeat(2000)}\n`, "need+le");
  expect(matches).toHaveLength(1);
  expect(matches[0]?.text).toMatch(/^é{200}needle(😀)+\uFFFD?$/u);
  expect(matches[0]).toMatchObject({ left_out: [2800, 3000 + 6 + 4000 - 2800 - maxExcerptLength] });
  expect(matches[0]?.text.length).toBe(maxExcerptLength);
});

test("a line of 72 MB, and a match in each of a million lines, cost bounded memory", { timeout: 60_000 }, async () => {
  const chunk = Buffer.alloc(1024 * 1024, "all work and no play ");
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  async function* longLine(): AsyncIterable<Buffer> {
    for (let index = 0; index < 69; index += 1) {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      yield Buffer.from(chunk);
    }
    yield Buffer.from("needle\n");
  }
  const found: number[] = [];
  const add = ({ line_number }: LineMatch) => void found.push(line_number);
  expect(await searchText(longLine(), compilePattern("needle"), add)).toEqual({
    rawBytes: 69 * 1024 * 1024 + 7,
    unprovenLines: 0,
  });
  expect(found).toEqual([1]);
  // The figure includes uncollected garbage.
  expect(most).toBeLessThan(250 * 1024 * 1024);
  let matches = 0;
  await searchText(framesOf(Buffer.alloc(2_000_000, "a\n"), [1_000_000]), compilePattern("a"), () => void (matches += 1));
  expect(matches).toBe(1_000_000);
});

test("patterns that block a backtracking engine take time linear in the text", { timeout: 60_000 }, async () => {
  const text = Buffer.alloc(300_000, "a".repeat(29_999) + "\n");
  for (const hostile of ["(a+)+$x", "(a|aa)+b", "(a*)*b", "(.*a){20}b", "(?:a?){30}a{30}b"]) {
    const timeOfSearch = async (size: number) => {
      const start = performance.now();
      await search(text.subarray(0, size), hostile);
      return performance.now() - start;
    };
    await timeOfSearch(30_000);
    // Ten times the text: an engine that retries from each position would take a hundred times as long, others would never end.
    expect(await timeOfSearch(300_000), hostile).toBeLessThan(Math.max(1000, 50 * (await timeOfSearch(30_000))));
  }
});

test.for([
  ["foo(?=bar)", "Look-around"],
  ["(a)\\1", "Look-around and back-references"],
  ["(", "missing closing"],
  ["", "empty"],
  ["a\nb", "newline"],
  ["a\\nb", "newline"],
  ["a".repeat(maxPatternLength + 1), "are accepted"],
  [".{1,1000}.{1,1000}", "repeat less"],
] as const)("the pattern %j is refused and says why: %s", ([source, why]) => {
  expect(() => compilePattern(source)).toThrow(why);
});

test("a class may contain a newline, which no line has", async () => {
  expect((await search("a b\n", "a[^\\n]b")).matches).toHaveLength(1);
  expect((await search("a\\nb\n", "a\\\\nb")).matches).toHaveLength(1);
});
