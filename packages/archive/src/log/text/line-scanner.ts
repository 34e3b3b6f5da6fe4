// Finds the lines of a log as its bytes flow by, in chunks of any size, and tells of each what its first bytes say. Text is
// kept of the few lines that somebody asks for, and no more than its head, so a line of any length costs nothing.

import { skipByteOrderMarks, maxByteOrderMarksBytes } from "./byte-order-mark.ts";
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
      const end = chunk.indexOf(newline, at);
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

const [dash, letterT, colon, dot, letterZ] = [0x2d, 0x54, 0x3a, 0x2e, 0x5a];
const digitsAt = Uint8Array.of(0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 22, 23, 24, 25, 26);

/**
 * The last second that was read, as it stands in the log: most lines have the same, and comparing is cheaper than reading. Four
 * bytes at a time through a DataView, which V8 turns into one instruction each: byte by byte this was a quarter of the pass.
 */
class SecondReader {
  readonly #words = new Int32Array(5);
  #second = -1;

  /** `2022-04-08T09:00:42.9235580Z` at `at`, fields in range: the archive reads times from it later. -1 when it is no time. */
  read(bytes: Buffer, view: DataView, at: number): number {
    const words = this.#words;
    const isSame =
      view.getInt32(at + 16) === words[4] &&
      view.getInt32(at + 12) === words[3] &&
      view.getInt32(at + 8) === words[2] &&
      view.getInt32(at + 4) === words[1] &&
      view.getInt32(at) === words[0];
    if (isSame) return hasFraction(bytes, view, at + 20) ? this.#second : -1;
    const second = secondOf(bytes, at);
    if (second === -1) return -1;
    for (let index = 0; index < 5; index += 1) words[index] = view.getInt32(at + 4 * index);
    this.#second = second;
    return second;
  }
}

function hasFraction(bytes: Buffer, view: DataView, at: number): boolean {
  return areDigits(view.getInt32(at)) && areDigits(view.getInt32(at + 3)) && bytes[at + 7] === letterZ;
}

/** Whether each of four bytes is a digit: its upper half is 3, and stays 3 when 6 is added, which 10 to 15 below it do not. */
function areDigits(word: number): boolean {
  return (((word & 0xf0f0f0f0) ^ 0x30303030) | (((word + 0x06060606) & 0xf0f0f0f0) ^ 0x30303030)) === 0;
}

function secondOf(bytes: Buffer, at: number): number {
  const isShaped =
    bytes[at + 27] === letterZ &&
    bytes[at + 4] === dash &&
    bytes[at + 7] === dash &&
    bytes[at + 10] === letterT &&
    bytes[at + 13] === colon &&
    bytes[at + 16] === colon &&
    bytes[at + 19] === dot;
  if (!isShaped) return -1;
  for (const offset of digitsAt) if (!isDigit(bytes[at + offset])) return -1;
  const [month, day] = [number(bytes, at + 5), number(bytes, at + 8)];
  const [hour, minute, second] = [number(bytes, at + 11), number(bytes, at + 14), number(bytes, at + 17)];
  const isInRange = month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 && minute < 60 && second < 60;
  return isInRange ? ((((month - 1) * 31 + day - 1) * 24 + hour) * 60 + minute) * 60 + second : -1;
}

/** Whether `2022-04-08T09:00:42.9235580Z`, with fields in range, stands there. */
export function isStamp(bytes: Buffer, at: number): boolean {
  return secondOf(bytes, at) !== -1;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function number(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) - 0x30) * 10 + ((bytes[at + 1] ?? 0) - 0x30);
}
