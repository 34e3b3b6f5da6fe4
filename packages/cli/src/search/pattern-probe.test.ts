// A probe never misses a match of its pattern; false candidates only cost time.

import fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";

import { makeProbe } from "./pattern-probe.ts";

test.for([
  ["error|warning", ["error", "warning"]],
  ["npm (ERR!|error) code E[A-Z]+", [" code E[A-Z]"]],
  ["colou?r", ["colo"]],
  ["ab{2}c+d", ["abbc"]],
  ["x{3,}y", ["xxx"]],
  ["^a\\.b\\d$", ["a.b[0-9]"]],
  ["clé", ["cl\u00C3\u00A9"]],
] as const)("%j must hold one of %j", ([pattern, runs]) => {
  const readable = makeProbe(pattern, false)?.source.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  expect(readable?.split("|")).toEqual(runs);
});

test.for([
  "a*",
  "a|error",
  "(foo)",
  "foo(?i)bar",
  "(?-i)foo",
  "\\Qfoo\\E",
  "\\x66oo",
  "\\pLfoo",
  "[[:alpha:]]foo",
  "[a-z]{60}",
  "foo{",
  "[]a]foo",
])("%j has no probe: it is too short or unsupported", (pattern) => {
  expect(makeProbe(pattern, false)).toBeUndefined();
});

const bytesAlike = ["a", "b", "s", "k", "S", "1", "-", "_", " ", "\\.", "\\/", "\\t", "ab", "sk", "kk1", "é", "ſ", "日"];
const classes = ["\\d", "\\w", "\\s", "[ab]", "[a-z]", "[0-_]", "[\\d.-]"];
const others = [".", "\\S", "\\W", "[^a]", "[^\\s]", "\\b", "^", "$", "(?:a|b)", "(s)", "(?P<n>k)"];
const atom = fc.constantFrom(...bytesAlike, ...classes, ...others);
const repeat = fc.constantFrom("", "", "", "", "?", "*", "+", "{2}", "{0}", "{1,3}", "{2,}", "??", "+?");
const branch = fc.array(fc.tuple(atom, repeat), { minLength: 1, maxLength: 6 }).map((parts) => parts.flat().join(""));
const pattern = fc
  .tuple(fc.constantFrom("", "", "(?i)"), fc.array(branch, { minLength: 1, maxLength: 3 }))
  .map(([flag, branches]) => flag + branches.join("|"))
  .filter((source) => {
    try {
      return RE2JS.compile(source) !== undefined;
    } catch {
      return false;
    }
  });
const ascii = ["a", "b", "A", "s", "S", "k", "K", "1", "-", "_", " ", ".", "/", "\t", "ab", "sk", "kk1"];
const beyond = ["ſ", "\u212A", "é", "É", "日", "\uFFFD"];
const text = fc.array(fc.constantFrom(...ascii, ...beyond), { maxLength: 12 }).map((parts) => parts.join(""));

test("a probe matches wherever its pattern does", () => {
  let probes = 0;
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 20 }), fc.boolean(), (source, texts, ignoreCase) => {
      const probe = makeProbe(source, ignoreCase);
      if (probe === undefined) return;
      const re = RE2JS.compile(source, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
      for (const candidate of texts) {
        if (!re.test(candidate)) continue;
        probes += 1;
        probe.lastIndex = 0;
        expect(probe.test(Buffer.from(candidate).toString("latin1")), `${source} in ${JSON.stringify(candidate)}`).toBe(true);
      }
    }),
    { numRuns: 5000 },
  );
  expect(probes).toBeGreaterThan(100);
});
