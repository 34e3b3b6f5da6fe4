// Compiles search patterns and finds matching lines in a block. A pattern is applied to the text of one line, without the
// runner's time and the line end. Patterns run on RE2, whose time is linear in the text.

import { skipByteOrderMarks } from "@actions-archive/archive/log/text/byte-order-mark";
import { isStamp, stampLength } from "@actions-archive/archive/log/text/line-scanner";
import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { RE2JS } from "re2js";

import { makeProbe } from "./pattern-probe.ts";

/** Byte offsets in a block: where a line begins, and its text from `textStart` to before `textEnd`. */
export type LineSpan = {
  readonly lineStart: number;
  /** After the byte order marks at the line's start: its time begins here, or its text. */
  readonly timeStart: number;
  readonly textStart: number;
  readonly textEnd: number;
};

export type LineMatcher = {
  /** The matching lines of `block`, in order. `isContinued`: the block starts inside a line, so its first line has no time. */
  readonly find: (block: Buffer, isContinued: boolean) => Iterable<LineSpan>;
  /** The first match in a line's text, in UTF-16 units. */
  readonly locate: (text: string) => { readonly start: number; readonly end: number };
  /** Whether a match is no longer than the pattern's text, so that overlapping pieces miss none. */
  readonly isBounded: boolean;
};

/** In characters. */
export const maxPatternLength = 1000;
/** `.{1,1000}` has 2,002 instructions. 1,706 that defeat the automaton's cache took 1.5 s for 1 MiB of text. */
const maxProgram = 2500;
/** Lines are tested one by one only where this much text has a match. */
const pretestBytes = 64 * 1024;

const newline = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;

/**
 * @param pattern RE2's syntax, or with `fixed` the text itself.
 * @throws PermanentError `usage/invalid` for a pattern that is empty, too long, wrong, or can match no line.
 */
export function compilePattern(
  pattern: string,
  { fixed = false, ignoreCase = false }: { readonly fixed?: boolean | undefined; readonly ignoreCase?: boolean | undefined } = {},
): LineMatcher {
  if (pattern === "") throw refused("It is empty");
  if (pattern.length > maxPatternLength)
    throw refused(`It has ${pattern.length} characters, at most ${maxPatternLength} are accepted`);
  if (pattern.includes("\n") || (!fixed && namesNewline(pattern)))
    throw refused("It contains a newline, and a pattern is matched against one line at a time");
  if (fixed && !ignoreCase) return fixedMatcher(pattern);
  return patternMatcher(fixed ? RE2JS.quote(pattern) : pattern, { ignoreCase, isBounded: fixed });
}

/** The time before a line's text, as in the log; null where there is none. */
export function timeOf(block: Buffer, { timeStart, textStart }: LineSpan): string | null {
  return textStart > timeStart ? block.toString("latin1", timeStart, timeStart + stampLength - 1) : null;
}

function fixedMatcher(pattern: string): LineMatcher {
  const needle = Buffer.from(pattern);
  return {
    isBounded: true,
    *find(block, isContinued) {
      for (let at = block.indexOf(needle); at !== -1;) {
        const lineStart = startOfLine(block, at);
        const stop = lineStop(block, at);
        const line = spanOf(block, { lineStart, stop, isContinued: isContinued && lineStart === 0 });
        const isInText = at >= line.textStart && at + needle.length <= line.textEnd;
        if (isInText) yield line;
        at = block.indexOf(needle, isInText ? stop : at + 1);
      }
    },
    locate(text) {
      const start = Math.max(0, text.indexOf(pattern));
      return { start, end: start + pattern.length };
    },
  };
}

function patternMatcher(source: string, { ignoreCase, isBounded }: { ignoreCase: boolean; isBounded: boolean }): LineMatcher {
  const pattern = compile(source, ignoreCase);
  const canPretest = !isPositional(source);
  const probe = makeProbe(source, ignoreCase);
  return {
    isBounded,
    *find(block, isContinued) {
      if (probe) return yield* findByProbe(pattern, probe, block, isContinued);
      for (let at = 0; at < block.length;) {
        const stop = Math.min(block.length, lineStop(block, Math.min(block.length, at + pretestBytes)) + 1);
        if (!canPretest || pattern.test(block.toString("utf8", at, stop)))
          yield* findInLines(pattern, block, { from: at, to: stop, isContinued: isContinued && at === 0 });
        at = stop;
      }
    },
    locate(text) {
      const match = pattern.matcher(text);
      return match.find() ? { start: match.start(), end: match.end() } : { start: 0, end: 0 };
    },
  };
}

function* findByProbe(pattern: RE2JS, probe: RegExp, block: Buffer, isContinued: boolean): Iterable<LineSpan> {
  const bytes = block.toString("latin1");
  for (let at = 0; at < block.length;) {
    probe.lastIndex = at;
    const candidate = probe.exec(bytes);
    if (candidate === null) return;
    const stop = lineStop(block, candidate.index);
    const lineStart = startOfLine(block, candidate.index);
    const line = spanOf(block, { lineStart, stop, isContinued: isContinued && lineStart === 0 });
    if (pattern.test(block.toString("utf8", line.textStart, line.textEnd))) yield line;
    at = stop + 1;
  }
}

function* findInLines(
  pattern: RE2JS,
  block: Buffer,
  { from, to, isContinued }: { from: number; to: number; isContinued: boolean },
): Iterable<LineSpan> {
  for (let lineStart = from; lineStart < to;) {
    const stop = lineStop(block, lineStart);
    const line = spanOf(block, { lineStart, stop, isContinued: isContinued && lineStart === from });
    if (pattern.test(block.toString("utf8", line.textStart, line.textEnd))) yield line;
    lineStart = stop + 1;
  }
}

function startOfLine(block: Buffer, at: number): number {
  return at === 0 ? 0 : block.lastIndexOf(newline, at - 1) + 1;
}

// @returns the newline that ends the line at `at`, or the block's end.
function lineStop(block: Buffer, at: number): number {
  const found = block.indexOf(newline, at);
  return found === -1 ? block.length : found;
}

/** @returns the span of the line from `lineStart` to its newline, or to the block's end, at `stop`. */
export function spanOf(
  block: Buffer,
  { lineStart, stop, isContinued }: { lineStart: number; stop: number; isContinued: boolean },
): LineSpan {
  const timeStart = isContinued ? lineStart : skipByteOrderMarks(block, lineStart, stop);
  const hasCrLf = stop < block.length && stop > timeStart && block[stop - 1] === carriageReturn;
  const textEnd = hasCrLf ? stop - 1 : stop;
  const afterTime = timeStart + stampLength - 1;
  const hasTime =
    !isContinued && textEnd >= afterTime && (textEnd === afterTime || block[afterTime] === space) && isStamp(block, timeStart);
  return { lineStart, timeStart, textStart: hasTime ? Math.min(textEnd, afterTime + 1) : timeStart, textEnd };
}

function compile(source: string, ignoreCase: boolean): RE2JS {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(source, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  } catch (error) {
    throw refused(
      `${sentence(errorMessage(error))}. Look-around and back-references are not supported, since the search time would be unbounded`,
      error,
    );
  }
  if (pattern.programSize() > maxProgram)
    throw refused(`It has ${pattern.programSize()} states, at most ${maxProgram} are accepted: repeat less`);
  return pattern;
}

// Whether a match may depend on where the line's text begins or ends. Otherwise a text of many lines, including times and line
// ends, matches whenever one of its lines does. \b and \B treat a line's ends like a space.
function isPositional(source: string): boolean {
  const withoutNegatedClasses = source.replaceAll(/(?<!\\)\[\^/g, "[");
  return /[\^$]|\\[AzQ]|\(\?(?!:|P?<|i[:)])/.test(withoutNegatedClasses);
}

// A newline outside a class; inside one it may be negated: [^\n] is anything.
function namesNewline(source: string): boolean {
  const withoutClasses = source.replaceAll(/\\[^]|\[\^?\]?(?:\\[^]|[^\]\\])*\]/g, (token) =>
    token.startsWith("[") ? "" : token,
  );
  return /^(?:\\[^n]|[^\\])*\\n/.test(withoutClasses);
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function refused(why: string, cause?: unknown): PermanentError {
  return new PermanentError("usage/invalid", `The pattern was refused. ${why}.`, { cause });
}
