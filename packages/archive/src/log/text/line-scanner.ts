// Finds the lines of a log in a stream of chunks of any size, and reports the kind and time of each. Only the text of requested lines
// is kept, up to a limit, so lines of any length need bounded memory.

import { skipByteOrderMarks, maxByteOrderMarksBytes } from "./byte-order-mark.ts";
import { SecondReader, secondOf } from "./line-time.ts";
import { newlineFrom } from "./newline.ts";
import { type LineKind, maxPrefixLength, runnerLineAt } from "./runner-lines.ts";

/** Length of the timestamp before a line's text, `2022-04-08T09:00:42.9235580Z ` with its space; always seven fractional digits. */
export const stampLength = 29;
/** The first bytes of a line that determine its kind and time. */
const headLength = maxByteOrderMarksBytes + stampLength + maxPrefixLength;
/** Limit of a line's reported text: 500 UTF-16 units of at most three bytes, and the runner's prefix. */
export const maxTextBytes = 1536;

export type Line = {
  /** From 1. */
  readonly number: number;
  /** Offset of its first byte in the log, including a byte order mark. */
  readonly start: number;
  readonly kind: LineKind | undefined;
  readonly endsFrame: boolean;
  /** The second of its timestamp within a year whose months all have 31 days (0 to 32,140,799); -1 without a timestamp. */
  readonly second: number;
};

/** A line with its text. */
export type LineText = Line & {
  /** Offset of the first byte after the line and its newline. */
  readonly end: number;
  /** As in the log; undefined without a timestamp. */
  readonly time: string | undefined;
  /** Without byte order mark, timestamp and line ending; at most `maxTextBytes`, cut between characters. NUL and invalid UTF-8 are U+FFFD. */
  readonly text: string;
};

export type LineTotals = {
  readonly lines: number;
  readonly linesWithoutTime: number;
  readonly crlf: number;
  /** As in the log, with seven fractional digits; undefined when no line has a timestamp. */
  readonly firstTime?: string;
  readonly lastTime?: string;
  /** One of the last 30 lines is the runner's end marker. */
  readonly hasEndMarker: boolean;
};

export type LineListener = {
  /**
   * Called once for each line, in order, as soon as its head is known. A line has at least one byte. The object is reused: do not keep it.
   * @returns whether `onText` is to be called for the line.
   */
  readonly onLine: (line: Line) => boolean;
  /** Called for each requested line when it is complete, before the next line's `onLine`. */
  readonly onText: (line: LineText) => void;
  /**
   * Whether `onLine` is called for plain lines too: those of the same second as the last line with a time that begin like no line
   * of the runner. Called again after each call of the others; without it, all lines are wanted.
   */
  readonly wantsPlain?: () => boolean;
};

const newline = 0x0a;
const carriageReturn = 0x0d;
const endMarkerWithin = 30;
const endMarker = Buffer.from("Cleaning up orphan processes");

export class LineScanner {
  readonly #listener: LineListener;
  /** The first bytes of the current line, if its head spans chunks. */
  readonly #carry = Buffer.alloc(headLength);
  readonly #carryView = viewOf(this.#carry);
  #carried = 0;
  /** One object for all lines: allocating one for each took a seventh of the scan. */
  readonly #line: { -readonly [field in keyof Line]: Line[field] } = {
    number: 0,
    start: 0,
    kind: undefined,
    endsFrame: false,
    second: -1,
  };
  /** Whether this line's text was requested, and its bytes so far: one character more than the limit, to detect a longer text. */
  #isWanted = false;
  readonly #kept = Buffer.alloc(maxByteOrderMarksBytes + stampLength + maxTextBytes + 4);
  #keptBytes = 0;
  readonly #seconds = new SecondReader();
  #offset = 0;
  #lineStart = 0;
  #isHeadKnown = false;
  #lastByte = -1;
  #lines = 0;
  #linesWithoutTime = 0;
  #crlf = 0;
  #firstTime: string | undefined;
  #lastTime = "";
  #lastStampAt = -1;
  #endMarkerLine = -Infinity;

  constructor(listener: LineListener) {
    this.#listener = listener;
  }

  /** Every line that starts before this offset has been reported. */
  get decidedUpTo(): number {
    return this.#isHeadKnown ? this.#offset : this.#lineStart;
  }

  scan(chunk: Buffer): void {
    const view = viewOf(chunk);
    this.#lastStampAt = -1;
    let at = 0;
    while (at < chunk.length) {
      if (this.#carried === 0 && !this.#isHeadKnown && this.#listener.wantsPlain?.() === false) {
        at = this.#passPlain(chunk, view, at);
        if (at === chunk.length) break;
      }
      const end = newlineFrom(chunk, view, at);
      const stop = end === -1 ? chunk.length : end + 1;
      if (this.#isHeadKnown) this.#keep(chunk, at, stop);
      else this.#readHead(chunk, view, at, stop, end !== -1);
      if (end !== -1) {
        const before = end > 0 ? chunk[end - 1] : this.#lastByte;
        if (before === carriageReturn) this.#crlf += 1;
        this.#endLine(this.#offset + stop);
      }
      at = stop;
    }
    if (this.#lastStampAt !== -1)
      this.#lastTime = chunk.toString("latin1", this.#lastStampAt, this.#lastStampAt + stampLength - 1);
    this.#lastByte = chunk.at(-1) ?? this.#lastByte;
    this.#offset += chunk.length;
  }

  /** Call once, after the last chunk. Reports a last line without a newline whose head was incomplete. */
  end(): LineTotals {
    if (!this.#isHeadKnown && this.#carried > 0) {
      this.#scanLine(this.#carry, this.#carryView, 0, this.#carried, false);
      this.#keep(this.#carry, 0, this.#carried);
    }
    this.#endLine(this.#offset);
    return {
      lines: this.#lines,
      linesWithoutTime: this.#linesWithoutTime,
      crlf: this.#crlf,
      ...(this.#firstTime === undefined ? {} : { firstTime: this.#firstTime, lastTime: this.#lastTime }),
      hasEndMarker: this.#lines - this.#endMarkerLine < endMarkerWithin,
    };
  }

  /** Counts the plain lines from `at` on that end in the chunk. Most lines are plain. @returns where the next line begins. */
  #passPlain(chunk: Buffer, view: DataView, from: number): number {
    let at = from;
    let [lines, crlf, lastAt] = [0, 0, -1];
    while (at + stampLength <= chunk.length && this.#seconds.repeats(chunk, view, at)) {
      const end = newlineFrom(chunk, view, at + stampLength - 1);
      if (end === -1 || runnerLineAt(chunk, at + stampLength, end) !== undefined) break;
      if (chunk[end - 1] === carriageReturn) crlf += 1;
      lines += 1;
      lastAt = at;
      at = end + 1;
    }
    if (lines === 0) return from;
    this.#lines += lines;
    this.#crlf += crlf;
    this.#lastStampAt = lastAt;
    this.#lineStart = this.#offset + at;
    return at;
  }

  #readHead(chunk: Buffer, view: DataView, at: number, stop: number, isEnded: boolean): void {
    if (this.#carried === 0 && (isEnded || stop - at >= headLength)) {
      this.#scanLine(chunk, view, at, stop, true);
      return this.#keep(chunk, at, stop);
    }
    const copied = chunk.copy(this.#carry, this.#carried, at, Math.min(stop, at + headLength - this.#carried));
    this.#carried += copied;
    if (!isEnded && this.#carried < headLength) return;
    this.#scanLine(this.#carry, this.#carryView, 0, this.#carried, false);
    this.#keep(this.#carry, 0, this.#carried);
    this.#keep(chunk, at + copied, stop);
  }

  #scanLine(bytes: Buffer, view: DataView, at: number, stop: number, isInChunk: boolean): void {
    this.#isHeadKnown = true;
    this.#lines += 1;
    const start = skipByteOrderMarks(bytes, at, stop);
    const second = stop - start >= stampLength - 1 ? this.#seconds.read(bytes, view, start) : -1;
    if (second === -1) this.#linesWithoutTime += 1;
    else this.#keepTime(bytes, start, isInChunk);
    const known = second === -1 ? undefined : runnerLineAt(bytes, start + stampLength, stop);
    if (known?.kind === "complete" && known.text.equals(endMarker)) this.#endMarkerLine = this.#lines;
    const line = this.#line;
    line.number = this.#lines;
    line.start = this.#lineStart;
    line.kind = known?.kind;
    // A line after a byte order mark never ends a frame: earlier versions did not recognise it, and the same log must give the same object.
    line.endsFrame = known !== undefined && known.endsFrame && start === at;
    line.second = second;
    this.#isWanted = this.#listener.onLine(line);
  }

  #keep(bytes: Buffer, at: number, stop: number): void {
    if (this.#isWanted) this.#keptBytes += bytes.copy(this.#kept, this.#keptBytes, at, stop);
  }

  #endLine(end: number): void {
    if (this.#isWanted) {
      this.#tellText(end);
      this.#isWanted = false;
      this.#keptBytes = 0;
    }
    this.#lineStart = end;
    this.#isHeadKnown = false;
    this.#carried = 0;
  }

  // Creates no view of the bytes, of which a log with a million such lines would allocate a million.
  #tellText(end: number): void {
    const line = this.#line;
    const start = skipByteOrderMarks(this.#kept, 0, this.#keptBytes);
    const hasTime = line.second !== -1;
    const textStart = hasTime ? start + stampLength : start;
    this.#listener.onText({
      number: line.number,
      start: line.start,
      kind: line.kind,
      endsFrame: line.endsFrame,
      second: line.second,
      end,
      time: hasTime ? this.#kept.toString("latin1", start, start + stampLength - 1) : undefined,
      text: textOf(this.#kept, textStart, this.#keptBytes),
    });
  }

  #keepTime(bytes: Buffer, start: number, isInChunk: boolean): void {
    // A string for each line would take most of the scan's time: inside a chunk only the offset of the last timestamp is kept.
    if (isInChunk && this.#firstTime !== undefined) {
      this.#lastStampAt = start;
      return;
    }
    this.#lastTime = bytes.toString("latin1", start, start + stampLength - 1);
    this.#lastStampAt = -1;
    this.#firstTime ??= this.#lastTime;
  }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

function textOf(bytes: Buffer, start: number, end: number): string {
  let stop = Math.min(end, start + maxTextBytes);
  // Back to the start of a character that crosses the limit.
  if (stop < end) while (stop > start && ((bytes[stop] ?? 0) & 0xc0) === 0x80) stop -= 1;
  else if (stop > start && bytes[stop - 1] === newline) stop -= 1;
  if (stop > start && bytes[stop - 1] === carriageReturn) stop -= 1;
  const text = bytes.toString("utf8", start, stop);
  return text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text;
}

/** Whether a timestamp like `2022-04-08T09:00:42.9235580Z`, with fields in range, is at `at`. */
export function isStamp(bytes: Buffer, at: number): boolean {
  return secondOf(bytes, at) !== -1;
}
