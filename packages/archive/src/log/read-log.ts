// Reads `.log.zst` objects frame by frame through the seek table, and checks every length and checksum.

import { zstdDecompressSync } from "node:zlib";

import { PermanentError } from "@actions-archive/core/errors";

import { type ByteRange, isCorrupt, type Store } from "../store/store.ts";
import {
  footerBytes,
  type Frame,
  maxFrameBytes,
  minFrameBytes,
  parseFooter,
  parseSeekTable,
  seekTableBytes,
} from "./log-format.ts";

/** One read of this size includes the complete table of a log of at least 500 MiB. */
const tailBytes = 64 * 1024;
/** For a complete read, this much of the object is read with the table, so most logs take one read. */
const completeTailBytes = 1024 * 1024;
const zstdMagic = 0xfd2fb528;
/** Bit of the frame header's descriptor: https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.1 */
const checksumFlag = 0x04;
/** Z_MIN_CHUNK of node:zlib. */
const minChunkBytes = 64;

export type SeekTable = {
  readonly frames: readonly Frame[];
  readonly rawBytes: number;
  /** Length of the table. */
  readonly tableBytes: number;
  /** The end of the object from the offset `start`, which was read with the table. Frames in it need no further read. */
  readonly tail: { readonly start: number; readonly bytes: Buffer };
};

/**
 * `sizeBytes`: size of the object, if known, which saves a HEAD. `rawBytes`: size of the log, if known; the table must agree, and is
 * then read by one call whatever its length. `versionId`: the recorded version, if the store has versions.
 */
export type ReadOptions = {
  readonly sizeBytes?: number | undefined;
  readonly rawBytes?: number | undefined;
  readonly versionId?: string | undefined;
};

/**
 * Reads the seek table of the log `key` by one ranged read, or two for a log of many frames if `rawBytes` is unknown.
 * @throws PermanentError `store/corrupt` when the object does not exist, or is not a log of this format and of `rawBytes`.
 */
export async function readSeekTable(store: Store, key: string, options: ReadOptions = {}): Promise<SeekTable> {
  return readTable(store, key, options, tailBytes);
}

async function readTable(store: Store, key: string, options: ReadOptions, minTailBytes: number): Promise<SeekTable> {
  // A read may be corrupted in transit: the object is reported corrupt only if a second read fails, too.
  const readOnce = () => readTableOnce(store, key, options, minTailBytes);
  return named(store, key, () =>
    readOnce().catch((error: unknown) => {
      if (isCorrupt(error)) return readOnce();
      throw error;
    }),
  );
}

async function readTableOnce(store: Store, key: string, options: ReadOptions, minTailBytes: number): Promise<SeekTable> {
  const { sizeBytes, rawBytes: expected, versionId } = options;
  const size = sizeBytes ?? (await store.head(key))?.sizeBytes;
  if (size === undefined) throw missing();
  const bytes = Math.max(minTailBytes, expected === undefined ? 0 : seekTableBytes(maxFrames(expected)));
  let tail = await readTail(store, key, { size, bytes, versionId });
  const tableBytes = parseFooter(tail.subarray(-footerBytes), size);
  if (tableBytes > tail.length) tail = await readTail(store, key, { size, bytes: tableBytes, versionId });
  const frames = parseSeekTable(tail.subarray(-tableBytes), size);
  const rawBytes = frames.reduce((sum, frame) => sum + frame.rawBytes, 0);
  if (expected !== undefined && rawBytes !== expected)
    throw new PermanentError("store/corrupt", `holds ${rawBytes} bytes of text, but its record says ${expected}`);
  return { frames, rawBytes, tableBytes, tail: { start: size - tail.length, bytes: tail } };
}

/** Reads the complete log, one Buffer for each frame. @throws PermanentError `store/corrupt`; the store's TransientError. */
export async function* readLog(store: Store, key: string, options: ReadOptions = {}): AsyncIterable<Buffer> {
  for await (const { text } of readStored(store, key, options)) yield text;
}

/** Reads the complete object in order: each frame with its text, then the seek table with an empty text. */
export async function* readStored(store: Store, key: string, options: ReadOptions = {}): AsyncIterable<DecodedFrame> {
  const table = await readTable(store, key, options, completeTailBytes);
  yield* readFrames(store, key, { table, frames: table.frames, versionId: options.versionId });
  yield { stored: table.tail.bytes.subarray(-table.tableBytes), text: Buffer.alloc(0) };
}

/**
 * Reads the bytes of the log from `range.start` to before `range.end` by one ranged read of their frames, or none if these were read
 * with the seek table. A range beyond the end of the log is cut there. `table` saves the read of the seek table.
 */
export async function* readLogRange(
  store: Store,
  key: string,
  range: ByteRange,
  options: ReadOptions & { readonly table?: SeekTable } = {},
): AsyncIterable<Buffer> {
  const table = options.table ?? (await readSeekTable(store, key, options));
  if (range.start >= range.end) return;
  const frames = table.frames.filter(({ rawStart, rawBytes }) => rawStart < range.end && rawStart + rawBytes > range.start);
  let rawStart = frames[0]?.rawStart ?? 0;
  for await (const { text } of readFrames(store, key, { table, frames, versionId: options.versionId })) {
    yield text.subarray(Math.max(0, range.start - rawStart), Math.min(text.length, range.end - rawStart));
    rawStart += text.length;
  }
}

/** Decodes one stored frame. @throws PermanentError `store/corrupt` when its text does not have `rawBytes` bytes. */
export function decodeFrame(stored: Buffer, rawBytes: number): Buffer {
  // `stored` is one frame: Node.js decodes all frames of a buffer, older versions only the first.
  if (stored.length < 4 || stored.readUInt32LE(0) !== zstdMagic)
    throw new PermanentError("store/corrupt", "has a frame that is not zstd");
  if (((stored[4] ?? 0) & checksumFlag) === 0) throw new PermanentError("store/corrupt", "has a frame without a checksum");
  let text: Buffer;
  try {
    // One chunk for the complete text: smaller chunks are concatenated, at 3/4 of the speed.
    text = zstdDecompressSync(stored, { maxOutputLength: rawBytes, chunkSize: Math.max(rawBytes, minChunkBytes) });
  } catch (error) {
    throw new PermanentError("store/corrupt", "has a frame that cannot be decoded", { cause: error });
  }
  if (text.length !== rawBytes)
    throw new PermanentError("store/corrupt", `has a frame of ${text.length} bytes of text, but its table says ${rawBytes}`);
  return text;
}

async function* readFrames(store: Store, key: string, toRead: FramesToRead): AsyncIterable<DecodedFrame> {
  const { table, frames, versionId } = toRead;
  const decode = (stored: Buffer, frame: Frame) => tryDecode(stored, frame) ?? readFrameAgain(store, key, { frame, versionId });
  const [first, last] = [frames[0], frames.at(-1)];
  if (!first || !last) return;
  const { start, bytes: tail } = table.tail;
  if (first.storedStart >= start) {
    for (const frame of frames) {
      const at = frame.storedStart - start;
      yield await decode(tail.subarray(at, at + frame.storedBytes), frame);
    }
    return;
  }
  const stream = await store.open(key, { start: first.storedStart, end: last.storedStart + last.storedBytes }, versionId);
  if (!stream) throw inObject(store, key, missing());
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let index = 0;
  for await (const chunk of stream) {
    pending.push(chunk);
    pendingBytes += chunk.length;
    for (let frame = frames[index]; frame && pendingBytes >= frame.storedBytes; frame = frames[index]) {
      const bytes = pending.length === 1 && pending[0] ? pending[0] : Buffer.concat(pending);
      yield await decode(bytes.subarray(0, frame.storedBytes), frame);
      pending = [bytes.subarray(frame.storedBytes)];
      pendingBytes -= frame.storedBytes;
      index += 1;
    }
  }
}

type FramesToRead = { readonly table: SeekTable; readonly frames: readonly Frame[]; readonly versionId: string | undefined };

export type DecodedFrame = { readonly stored: Buffer; readonly text: Buffer };

function tryDecode(stored: Buffer, { rawBytes }: Frame): DecodedFrame | undefined {
  try {
    return { stored, text: decodeFrame(stored, rawBytes) };
  } catch (error) {
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}

// A read may be corrupted in transit: a frame counts as damaged only if a second read fails, too.
async function readFrameAgain(
  store: Store,
  key: string,
  { frame, versionId }: { readonly frame: Frame; readonly versionId: string | undefined },
): Promise<DecodedFrame> {
  const { storedStart: start, storedBytes, rawBytes } = frame;
  return named(store, key, async () => {
    const stored = await store.read(key, { start, end: start + storedBytes }, versionId);
    if (!stored) throw missing();
    return { stored, text: decodeFrame(stored, rawBytes) };
  });
}

async function readTail(
  store: Store,
  key: string,
  { size, bytes, versionId }: { size: number; bytes: number; versionId: string | undefined },
): Promise<Buffer> {
  if (size === 0) throw new PermanentError("store/corrupt", "has no bytes");
  const tail = await store.read(key, { start: Math.max(0, size - bytes), end: size }, versionId);
  if (!tail) throw missing();
  return tail;
}

// An upper bound. A frame ends at a marker after 64 KiB of text, or where it would exceed 1 MiB with the next line; of two adjacent frames
// of the second kind at least one is large.
function maxFrames(rawBytes: number): number {
  return Math.ceil(rawBytes / minFrameBytes) + Math.ceil(rawBytes / maxFrameBytes) * 2 + 1;
}

function missing(): PermanentError {
  return new PermanentError("store/corrupt", "does not exist");
}

async function named<T>(store: Store, key: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    throw inObject(store, key, error);
  }
}

function inObject(store: Store, key: string, error: unknown): unknown {
  if (!(error instanceof PermanentError) || error.code !== "store/corrupt" || error.message.includes(key)) return error;
  return new PermanentError(
    "store/corrupt",
    `The log ${key} in ${store.url} ${error.message}: it was damaged or changed. Compare it with its record, and restore it from a copy.`,
    { cause: error },
  );
}
