// The `.log.zst` format: zstd frames that end at the runner's marker lines, and a seek table at the end. `zstdcat` prints it, and any
// range can be read without the rest.
// https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md

import { createHash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";

import { PermanentError } from "@actions-archive/core/errors";

import { releaseMemory } from "../store/release-memory.ts";
import { skipByteOrderMarks } from "./text/byte-order-mark.ts";
import { type Line, LineScanner } from "./text/line-scanner.ts";
import { type LogText, LogTextReader } from "./text/log-text.ts";

/** A frame with this much text ends at the next marker line. Smaller frames take more time and compress worse. */
export const minFrameBytes = 64 * 1024;
export const maxFrameBytes = 1024 * 1024;
/** 15 MB of recorded logs shrink to 1/8.10 with these, to 1/7.90 with level 3, which takes 1.4 times as long (`bench/log-text.ts`). */
const compression = { level: 1, windowLog: 18 };

const newline = 0x0a;
const skippableMagic = 0x184d2a5e;
const seekableMagic = 0x8f92eab1;
const headerBytes = 8;
const entryBytes = 8;
export const footerBytes = 9;

/** The place of a frame: its text in the log (raw) and its bytes in the object (stored). */
export type Frame = {
  readonly rawStart: number;
  readonly rawBytes: number;
  readonly storedStart: number;
  readonly storedBytes: number;
};

export type LogTotals = {
  readonly rawBytes: number;
  /** Hash of the input, lower-case hex. */
  readonly rawSha256: string;
  readonly storedBytes: number;
  /** Hash of the output, lower-case hex. */
  readonly storedSha256: string;
  readonly lines: number;
  readonly frames: readonly Frame[];
  /** As in the log, with seven fractional digits; absent when no line has a time. */
  readonly firstTime?: string;
  readonly lastTime?: string;
  readonly oddities: {
    /** The log begins with a byte order mark. Marks before later lines do not count: each block of a log has one. */
    readonly bom: boolean;
    /** Lines that end in CR LF. */
    readonly crlf: number;
    /** NUL bytes. */
    readonly nul: number;
    readonly linesWithoutTime: number;
  };
  readonly text: LogText;
  readonly tail: { /** `Cleaning up orphan processes` is among the last 30 lines. */ readonly hasEndMarker: boolean };
};

/**
 * Encodes one log as one object. Chunks may have any size: the frames depend only on the text. Uses about 1.1 MiB, the memory of
 * `LogTextReader`, and 16 bytes for each frame. Compression blocks the event loop for about 4 ms per MiB.
 */
export class LogEncoder {
  readonly #raw = createHash("sha256");
  readonly #stored = createHash("sha256");
  readonly #reader = new LogTextReader();
  readonly #scanner = new LineScanner({
    onLine: (line) => {
      this.#takeLine(line);
      return this.#reader.onLine(line);
    },
    onText: (line) => this.#reader.onText(line),
    wantsPlain: () => this.#reader.wantsPlain(),
  });
  /** The text of the next frame, with room for the text that is read before the end of the frame is known. */
  readonly #text = Buffer.allocUnsafe(maxFrameBytes + 2 * minFrameBytes);
  readonly #frames: Frame[] = [];
  #out: Buffer[] = [];
  #frameStart = 0;
  #textBytes = 0;
  #storedBytes = 0;
  #nul = 0;
  #hasBom = false;

  /** Takes the next chunk of the log. @returns the stored bytes that are complete, in order; often none. */
  write(chunk: Buffer): Buffer[] {
    this.#raw.update(chunk);
    for (let at = chunk.indexOf(0); at !== -1; at = chunk.indexOf(0, at + 1)) this.#nul += 1;
    // In small pieces, since the text that was read ahead has to be moved at the end of a frame.
    for (let at = 0; at < chunk.length; at += minFrameBytes) this.#take(chunk.subarray(at, at + minFrameBytes));
    return this.#flush();
  }

  /** Returns the remaining stored bytes and the totals. Call once, after at least one byte. */
  end(): { readonly stored: Buffer[]; readonly totals: LogTotals } {
    const { hasEndMarker, linesWithoutTime, crlf, ...lines } = this.#scanner.end();
    this.#cutFullFrames(this.#frameStart + this.#textBytes);
    this.#cut(this.#frameStart + this.#textBytes);
    const rawBytes = this.#frameStart;
    if (rawBytes === 0) throw new RangeError("A log without bytes has no stored form: its state is absent, `empty`.");
    releaseMemory(this.#text, this.#text.length);
    this.#emit(encodeSeekTable(this.#frames));
    const stored = this.#flush();
    const totals: LogTotals = {
      rawBytes,
      rawSha256: this.#raw.digest("hex"),
      storedBytes: this.#storedBytes,
      storedSha256: this.#stored.digest("hex"),
      ...lines,
      frames: this.#frames,
      oddities: { bom: this.#hasBom, crlf, nul: this.#nul, linesWithoutTime },
      text: this.#reader.end(),
      tail: { hasEndMarker },
    };
    return { stored, totals };
  }

  #take(piece: Buffer): void {
    piece.copy(this.#text, this.#textBytes);
    this.#textBytes += piece.length;
    if (this.#frameStart === 0) this.#hasBom = skipByteOrderMarks(this.#text, 0, this.#textBytes) > 0;
    this.#scanner.scan(piece);
    this.#cutFullFrames(this.#scanner.decidedUpTo);
  }

  #takeLine({ start, endsFrame }: Line): void {
    if (!endsFrame) return;
    this.#cutFullFrames(start);
    if (start - this.#frameStart >= minFrameBytes) this.#cut(start);
  }

  // All lines that start before `knownUpTo` are known. A frame is full once a byte beyond its limit is known; it ends with its last line.
  #cutFullFrames(knownUpTo: number): void {
    while (knownUpTo > this.#frameStart + maxFrameBytes) {
      const lineEnd = this.#text.lastIndexOf(newline, maxFrameBytes - 1) + 1;
      this.#cut(this.#frameStart + (lineEnd === 0 ? maxFrameBytes : lineEnd));
    }
  }

  #cut(rawEnd: number): void {
    const rawBytes = rawEnd - this.#frameStart;
    if (rawBytes === 0) return;
    const stored = compressFrame(this.#text.subarray(0, rawBytes));
    this.#frames.push({ rawStart: this.#frameStart, rawBytes, storedStart: this.#storedBytes, storedBytes: stored.length });
    this.#emit(stored);
    this.#text.copyWithin(0, rawBytes, this.#textBytes);
    this.#textBytes -= rawBytes;
    this.#frameStart = rawEnd;
  }

  #emit(stored: Buffer): void {
    this.#stored.update(stored);
    this.#storedBytes += stored.length;
    this.#out.push(stored);
  }

  #flush(): Buffer[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }
}

/**
 * Compresses one frame, with length and checksum. If the output buffer has at least ZSTD_compressBound bytes (zstd.h), zstd compresses in
 * one pass without buffers of its own.
 */
function compressFrame(text: Buffer): Buffer {
  // At least 64 KiB: Node.js takes small buffers from a pool, whose memory must not be released.
  const chunkSize = Math.max(64 * 1024, text.length + (text.length >> 8) + 64);
  const compressed = zstdCompressSync(text, {
    chunkSize,
    params: {
      [constants.ZSTD_c_compressionLevel]: compression.level,
      [constants.ZSTD_c_windowLog]: compression.windowLog,
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 1,
    },
    pledgedSrcSize: text.length,
  });
  const stored = Buffer.from(compressed);
  releaseMemory(compressed, chunkSize);
  return stored;
}

/** Encodes the seek table as a skippable frame, which ordinary decoders ignore. */
export function encodeSeekTable(frames: readonly Frame[]): Buffer {
  const table = Buffer.alloc(seekTableBytes(frames.length));
  table.writeUInt32LE(skippableMagic, 0);
  table.writeUInt32LE(table.length - headerBytes, 4);
  frames.forEach(({ storedBytes, rawBytes }, index) => {
    table.writeUInt32LE(storedBytes, headerBytes + index * entryBytes);
    table.writeUInt32LE(rawBytes, headerBytes + index * entryBytes + 4);
  });
  table.writeUInt32LE(frames.length, table.length - footerBytes);
  // The descriptor stays 0: no checksums in the table, since each frame has its own.
  table.writeUInt32LE(seekableMagic, table.length - 4);
  return table;
}

export function seekTableBytes(frames: number): number {
  return headerBytes + frames * entryBytes + footerBytes;
}

/** The length in bytes of the seek table that ends with `footer`, the object's last nine bytes. @throws PermanentError `store/corrupt` */
export function parseFooter(footer: Buffer, objectBytes: number): number {
  const isOurs = footer.length === footerBytes && footer.readUInt32LE(5) === seekableMagic && footer[4] === 0;
  const bytes = isOurs ? seekTableBytes(footer.readUInt32LE(0)) : Infinity;
  if (bytes > objectBytes) throw corrupt("has no seek table at its end");
  return bytes;
}

/** Parses the seek table of an object of `objectBytes` bytes, whose frames must cover it exactly. @throws PermanentError `store/corrupt` */
export function parseSeekTable(table: Buffer, objectBytes: number): Frame[] {
  const storedEnd = objectBytes - table.length;
  if (table.readUInt32LE(0) !== skippableMagic || table.readUInt32LE(4) !== table.length - headerBytes)
    throw corrupt("has a damaged seek table");
  const frames: Frame[] = [];
  let [rawStart, storedStart] = [0, 0];
  for (let at = headerBytes; at < table.length - footerBytes; at += entryBytes) {
    const [storedBytes, rawBytes] = [table.readUInt32LE(at), table.readUInt32LE(at + 4)];
    // Incompressible text grows by a few bytes per block. A larger entry may be an attempt to exhaust the reader's memory.
    const isPossible = rawBytes > 0 && rawBytes <= maxFrameBytes && storedBytes > 0 && storedBytes <= rawBytes + 8 * 1024;
    if (!isPossible) throw corrupt("has an impossible frame in its seek table");
    frames.push({ rawStart, rawBytes, storedStart, storedBytes });
    rawStart += rawBytes;
    storedStart += storedBytes;
  }
  if (frames.length === 0 || storedStart !== storedEnd) throw corrupt("is not as long as its seek table says");
  return frames;
}

/** An error whose message the caller prefixes with the object's name. */
function corrupt(what: string): PermanentError {
  return new PermanentError("store/corrupt", what);
}
