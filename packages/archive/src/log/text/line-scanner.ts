// Finds the lines of a log as its bytes flow by, in chunks of any size, and tells of each what its first bytes say. Text is
// kept of the few lines that somebody asks for, and no more than its head, so a line of any length costs nothing.

import { skipByteOrderMarks, maxByteOrderMarksBytes } from "./byte-order-mark.ts";
import { SecondReader, secondOf } from "./line-time.ts";
import { newlineFrom } from "./newline.ts";
import { type LineKind, maxPrefixLength, runnerLineAt } from "./runner-lines.ts";

/** `2022-04-08T09:00:42.9235580Z ` stands before the text of a line: always seven digits. */
export const stampLength = 29;
/** So many bytes of a line, or fewer when it ends before, decide everything that is asked about it. */
const headLength = maxByteOrderMarksBytes + stampLength + maxPrefixLength;
/** So many bytes of a line's text are given at most: 500 UTF-16 units, of three bytes at most, and what the runner puts before them. */
export const maxTextBytes = 1536;

export type Line = {
  /** From 1. */
  readonly number: number;
  /** Offset of its first byte in the log, a byte order mark included. */
  readonly start: number;
  readonly kind: LineKind | undefined;
  readonly endsFrame: boolean;
  /** By its own time, in a year whose months have 31 days each (0 to 32,140,799); -1 when it has none. */
  readonly second: number;
};

/** What a line says, for those who asked. */
export type LineText = Line & {
  /** Offset of the first byte after it, its newline included. */
  readonly end: number;
  /** As the log has it; undefined when it has none. */
  readonly time: string | undefined;
  /** Without byte order mark, time and line ending; at most `maxTextBytes` bytes of it, no character cut. NUL and what is no UTF-8 is U+FFFD. */
  readonly text: string;
};

export type LineTotals = {
  readonly lines: number;
  readonly linesWithoutTime: number;
  readonly crlf: number;
  /** As the log has it, with seven digits; undefined when no line has a time. */
  readonly firstTime?: string;
  readonly lastTime?: string;
  /** One of the last 30 lines is the runner's last word. */
  readonly hasEndMarker: boolean;
};

export type LineListener = {
  /**
   * Once a line, in order, as soon as its head is known; a line has at least one byte. The object is good until this returns.
   * @returns whether its text is wanted.
   */
  readonly onLine: (line: Line) => boolean;
  /** When a line that was asked for is complete; before the next line's `onLine`. */
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
  /** The first bytes of the current line, when a chunk ended before they were all there. */
  readonly #carry = Buffer.alloc(headLength);
  readonly #carryView = viewOf(this.#carry);
  #carried = 0;
  /** One object for all lines: a new one for each was a seventh of the pass. */
  readonly #line: { -readonly [field in keyof Line]: Line[field] } = {
    number: 0,
    start: 0,
    kind: undefined,
    endsFrame: false,
    second: -1,
  };
  /** Whether the text of this line is wanted, and its bytes so far: a character more than is given, to see that it was cut. */
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

  /** Every line that starts before this offset has been told. */
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

  /** Call once, after the last chunk: tells the last line, if it has no newline and its head was not complete. */
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
    // Frames are cut as they were when marks hid their line: the same log has the same object, whichever version stores it.
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

  // Without a view of the bytes: a log of a million such lines would make a million of them.
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
    // A string a line would be most of this pass's cost: inside a chunk only the place of the last one is kept.
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
  // Back to the start of a character that the limit cuts.
  if (stop < end) while (stop > start && ((bytes[stop] ?? 0) & 0xc0) === 0x80) stop -= 1;
  else if (stop > start && bytes[stop - 1] === newline) stop -= 1;
  if (stop > start && bytes[stop - 1] === carriageReturn) stop -= 1;
  const text = bytes.toString("utf8", start, stop);
  return text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text;
}

/** Whether `2022-04-08T09:00:42.9235580Z`, with fields in range, stands there. */
export function isStamp(bytes: Buffer, at: number): boolean {
  return secondOf(bytes, at) !== -1;
}
