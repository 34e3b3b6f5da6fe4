// What a search looks for, and where in a block of lines it is. A pattern sees one line's text at a time: without the time that
// the runner put before it, and without its line end. Patterns run on RE2, whose time grows with the text alone.

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
  /** The lines of `block` that match, in order. `isContinued`: the block begins inside a line, so no time stands before it. */
  readonly find: (block: Buffer, isContinued: boolean) => Iterable<LineSpan>;
  /** Where in a matching line's text the first match is, in UTF-16 units. */
  readonly locate: (text: string) => { readonly start: number; readonly end: number };
  /** A match is no longer than the text that was looked for: pieces that overlap by so much hide none. */
  readonly isBounded: boolean;
};

/** In characters. */
export const maxPatternLength = 1000;
/** `.{1,1000}` has 2,002 instructions. 1,706 that defeat the automaton's cache took 1.5 s for 1 MiB of text. */
const maxProgram = 2500;
/** Lines are looked at one by one only where so much text holds a match somewhere. */
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
    throw refused(`It has ${pattern.length} characters, ${maxPatternLength} at most are taken`);
  if (pattern.includes("\n") || (!fixed && namesNewline(pattern)))
    throw refused("It holds a newline, and a pattern is held against one line at a time");
  if (fixed && !ignoreCase) return fixedMatcher(pattern);
  return patternMatcher(fixed ? RE2JS.quote(pattern) : pattern, { ignoreCase, isBounded: fixed });
}

/** The time before a line's text, as the log has it; null where there is none. */
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
  const canPretest = !knowsItsPlace(source);
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

// The newline that ends the line of `at`, or the block's end.
function lineStop(block: Buffer, at: number): number {
  const found = block.indexOf(newline, at);
  return found === -1 ? block.length : found;
}

/** The text of the line from `lineStart` to before its newline, or the block's end, at `stop`. */
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
      `${sentence(errorMessage(error))}. Look-around and back-references are not taken, since no search time could be promised with them`,
      error,
    );
  }
  if (pattern.programSize() > maxProgram)
    throw refused(`It stands for ${pattern.programSize()} states, ${maxProgram} at most are taken: repeat less`);
  return pattern;
}

// Whether a match may depend on where the line's text begins or ends. Only without that does a text of many lines, times and
// line ends included, match wherever one of its lines does. \b and \B see a line's ends as they see a space.
function knowsItsPlace(source: string): boolean {
  const withoutNegatedClasses = source.replaceAll(/(?<!\\)\[\^/g, "[");
  return /[\^$]|\\[AzQ]|\(\?(?!:|P?<|i[:)])/.test(withoutNegatedClasses);
}

// A newline outside a class, which may as well be negated: [^\n] is anything.
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
  return new PermanentError("usage/invalid", `The pattern is not taken. ${why}.`, { cause });
}
