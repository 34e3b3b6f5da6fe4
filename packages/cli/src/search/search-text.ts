// Searches the text of one log frame by frame.

import { cutBlocks, type LineBlock, type LineLimits } from "./line-blocks.ts";
import { LineCounter } from "./line-counter.ts";
import { type LineMatcher, type LineSpan, spanOf, timeOf } from "./line-matcher.ts";

export type LineMatch = {
  readonly line_number: number;
  /** The line's time as in the log; null where it has none. */
  readonly time: string | null;
  /** The line's text around its first match. Bytes that are no UTF-8 are U+FFFD. */
  readonly text: string;
  /** Characters of the line before and after `text`. */
  readonly left_out: readonly [number, number];
};

export type TextSearch = {
  readonly rawBytes: number;
  /** Lines in pieces without a match, where a match longer than the overlap could be missed. */
  readonly unprovenLines: number;
};

/** The maximum length of an excerpt, in UTF-16 units. */
export const maxExcerptLength = 1000;
const shownBefore = 200;

/** Calls `onMatch` once for each matching line, in order, and awaits it. Holds about 10 MiB in memory, whatever the text. */
export async function searchText(
  frames: AsyncIterable<Buffer>,
  matcher: LineMatcher,
  onMatch: (match: LineMatch) => Promise<void> | void,
  limits?: LineLimits,
): Promise<TextSearch> {
  const counter = new LineCounter();
  let rawBytes = 0;
  let unprovenLines = 0;
  let lastMatched = 0;
  let longLine = { time: null as string | null, isProven: true };
  const counted = countBytes(frames, (bytes) => (rawBytes += bytes));
  for await (const block of cutBlocks(counted, limits)) {
    counter.add(block.bytes);
    if (block.isCut && !block.isContinued) {
      longLine = { time: timeOfFirst(block), isProven: matcher.isBounded };
      if (!longLine.isProven) unprovenLines += 1;
    }
    for (const span of matcher.find(block.bytes, block.isContinued)) {
      const isPiece = span.lineStart === 0 && (block.isCut || block.isContinued);
      if (isPiece && !longLine.isProven) {
        longLine.isProven = true;
        unprovenLines -= 1;
      }
      const line_number = counter.numberAt(span.lineStart);
      if (line_number === lastMatched) continue;
      lastMatched = line_number;
      const time = isPiece && block.isContinued ? longLine.time : timeOf(block.bytes, span);
      await onMatch({ line_number, time, ...excerpt(block.bytes, span, matcher) });
    }
  }
  return { rawBytes, unprovenLines };
}

function timeOfFirst({ bytes }: LineBlock): string | null {
  return timeOf(bytes, spanOf(bytes, { lineStart: 0, stop: bytes.length, isContinued: false }));
}

function excerpt(block: Buffer, { textStart, textEnd }: LineSpan, matcher: LineMatcher): Pick<LineMatch, "text" | "left_out"> {
  const text = block.toString("utf8", textStart, textEnd);
  if (text.length <= maxExcerptLength) return { text, left_out: [0, 0] };
  const from = Math.max(0, Math.min(matcher.locate(text).start - shownBefore, text.length - maxExcerptLength));
  const to = from + maxExcerptLength;
  // A cut may split a surrogate pair.
  return { text: text.slice(from, to).toWellFormed(), left_out: [from, text.length - to] };
}

async function* countBytes(frames: AsyncIterable<Buffer>, add: (bytes: number) => void): AsyncIterable<Buffer> {
  for await (const frame of frames) {
    add(frame.length);
    yield frame;
  }
}
