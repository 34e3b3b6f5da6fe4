// Finds the lines of a log as its bytes flow by, in chunks of any size, and tells of each what its first bytes say. The rest
// of a line is never kept, so a line of any length costs nothing.
/** `2022-04-08T09:00:42.9235580Z ` stands before the text of a line: always seven digits. */
export const stampLength = 29;
const endMarker = "Cleaning up orphan processes";

/** The runner writes these where a step, or a part of one, begins. User output can fake them: they only say where to cut. */
const markers = ["##[group]", "##[section]", "Post job cleanup.", endMarker, "Current runner version:"].map((text) =>
  Buffer.from(text),
);
const markerFirstBytes = new Set(markers.map((marker) => marker[0]));

/** So many bytes of a line, or fewer when it ends before, decide everything that is asked about it; three for a BOM. */
export const headLength = 3 + stampLength + Math.max(...markers.map((marker) => marker.length));

export type Line = {
  /** Offset of its first byte in the log. */
  readonly start: number;
  readonly isMarker: boolean;
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

const newline = 0x0a;
const carriageReturn = 0x0d;
const endMarkerWithin = 30;

export class LineScanner {
  readonly #onLine: (line: Line) => void;
  /** The first bytes of the current line, when a chunk ended before they were all there. */
  readonly #carry = Buffer.alloc(headLength);
  #carried = 0;
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

  /** `onLine` is called once a line, in order, as soon as its head is known; a line has at least one byte. */
  constructor(onLine: (line: Line) => void) {
    this.#onLine = onLine;
  }

  /** Every line that starts before this offset has been told. */
  get decidedUpTo(): number {
    return this.#isHeadKnown ? this.#offset : this.#lineStart;
  }

  scan(chunk: Buffer): void {
    this.#lastStampAt = -1;
    let at = 0;
    while (at < chunk.length) {
      const end = chunk.indexOf(newline, at);
      const stop = end === -1 ? chunk.length : end + 1;
      if (!this.#isHeadKnown) this.#readHead(chunk, at, stop, end !== -1);
      if (end !== -1) {
        const before = end > 0 ? chunk[end - 1] : this.#lastByte;
        if (before === carriageReturn) this.#crlf += 1;
        this.#lineStart = this.#offset + stop;
        this.#isHeadKnown = false;
        this.#carried = 0;
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
    if (!this.#isHeadKnown && this.#carried > 0) this.#judge(this.#carry, 0, this.#carried, false);
    return {
      lines: this.#lines,
      linesWithoutTime: this.#linesWithoutTime,
      crlf: this.#crlf,
      ...(this.#firstTime === undefined ? {} : { firstTime: this.#firstTime, lastTime: this.#lastTime }),
      hasEndMarker: this.#lines - this.#endMarkerLine < endMarkerWithin,
    };
  }

  #readHead(chunk: Buffer, at: number, stop: number, isEnded: boolean): void {
    if (this.#carried === 0 && (isEnded || stop - at >= headLength)) return this.#judge(chunk, at, stop, true);
    const copied = chunk.copy(this.#carry, this.#carried, at, Math.min(stop, at + headLength - this.#carried));
    this.#carried += copied;
    if (isEnded || this.#carried === headLength) this.#judge(this.#carry, 0, this.#carried, false);
  }

  #judge(bytes: Buffer, at: number, stop: number, isInChunk: boolean): void {
    this.#isHeadKnown = true;
    this.#lines += 1;
    const isFirst = this.#lineStart === 0;
    const start = isFirst && isBom(bytes, at, stop) ? at + 3 : at;
    const hasTime = stop - start >= stampLength - 1 && isStamp(bytes, start);
    if (hasTime) this.#keepTime(bytes, start, isInChunk);
    else this.#linesWithoutTime += 1;
    const marker = hasTime ? markerAt(bytes, start + stampLength, stop) : undefined;
    if (marker === endMarker) this.#endMarkerLine = this.#lines;
    this.#onLine({ start: this.#lineStart, isMarker: marker !== undefined });
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

export function isBom(bytes: Buffer, at: number, stop: number): boolean {
  return stop - at >= 3 && bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf;
}

const [dash, letterT, colon, dot, letterZ] = [0x2d, 0x54, 0x3a, 0x2e, 0x5a];
const digitsAt = Uint8Array.of(0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 22, 23, 24, 25, 26);

/** Whether `2022-04-08T09:00:42.9235580Z`, with fields in range, stands there: the archive reads times from it later. */
export function isStamp(bytes: Buffer, at: number): boolean {
  const isShaped =
    bytes[at + 27] === letterZ &&
    bytes[at + 4] === dash &&
    bytes[at + 7] === dash &&
    bytes[at + 10] === letterT &&
    bytes[at + 13] === colon &&
    bytes[at + 16] === colon &&
    bytes[at + 19] === dot;
  if (!isShaped) return false;
  for (const offset of digitsAt) if (!isDigit(bytes[at + offset])) return false;
  const [month, day] = [number(bytes, at + 5), number(bytes, at + 8)];
  const isDay = month >= 1 && month <= 12 && day >= 1 && day <= 31;
  return isDay && number(bytes, at + 11) < 24 && number(bytes, at + 14) < 60 && number(bytes, at + 17) < 60;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function number(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) - 0x30) * 10 + ((bytes[at + 1] ?? 0) - 0x30);
}

function markerAt(bytes: Buffer, at: number, stop: number): string | undefined {
  if (!markerFirstBytes.has(bytes[at])) return undefined;
  const found = markers.find(
    (marker) => stop - at >= marker.length && bytes.compare(marker, 0, marker.length, at, at + marker.length) === 0,
  );
  return found?.toString();
}
