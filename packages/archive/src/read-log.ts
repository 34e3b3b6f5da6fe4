// Reads `.log.zst` objects: through the seek table, frame by frame, every length and checksum checked.

import { zstdDecompressSync } from "node:zlib";

import { PermanentError } from "@actions-archive/core/errors";

import { footerBytes, type Frame, parseFooter, parseSeekTable } from "./log-format.ts";
import type { ByteRange, Store } from "./store.ts";

/** One read of so much holds the whole table of a log of 500 MiB, or more. */
const tailBytes = 64 * 1024;
const zstdMagic = 0xfd2fb528;

export type SeekTable = { readonly frames: readonly Frame[]; readonly rawBytes: number };

/** `sizeBytes`: the object's, if known, which saves a call. `versionId`: the recorded one, where the store has versions. */
export type ReadOptions = { readonly sizeBytes?: number | undefined; readonly versionId?: string | undefined };

/**
 * Where the frames of the log `key` are: one ranged read, or two for a log of many frames.
 * @throws PermanentError `store/corrupt` when there is no such object, or it is not a log of this format.
 */
export async function readSeekTable(store: Store, key: string, { sizeBytes, versionId }: ReadOptions = {}): Promise<SeekTable> {
  return named(store, key, async () => {
    const size = sizeBytes ?? (await store.head(key))?.sizeBytes;
    if (size === undefined) throw missing();
    let tail = await readTail(store, key, { size, bytes: tailBytes, versionId });
    const tableBytes = parseFooter(tail.subarray(-footerBytes), size);
    if (tableBytes > tail.length) tail = await readTail(store, key, { size, bytes: tableBytes, versionId });
    const frames = parseSeekTable(tail.subarray(-tableBytes), size);
    return { frames, rawBytes: frames.reduce((sum, frame) => sum + frame.rawBytes, 0) };
  });
}

/** The whole log, one Buffer a frame. @throws PermanentError `store/corrupt`, TransientError as the store does. */
export async function* readLog(store: Store, key: string, options: ReadOptions = {}): AsyncIterable<Buffer> {
  const { frames } = await readSeekTable(store, key, options);
  yield* readFrames(store, key, frames, options);
}

/**
 * The bytes of the log from `range.start` to before `range.end`: one ranged read of the frames that hold them. A range that
 * goes beyond the log ends with it. Give `table` to save the read of the seek table.
 */
export async function* readLogRange(
  store: Store,
  key: string,
  range: ByteRange,
  options: ReadOptions & { readonly table?: SeekTable } = {},
): AsyncIterable<Buffer> {
  const { frames } = options.table ?? (await readSeekTable(store, key, options));
  const wanted = frames.filter(({ rawStart, rawBytes }) => rawStart < range.end && rawStart + rawBytes > range.start);
  let rawStart = wanted[0]?.rawStart ?? 0;
  for await (const text of readFrames(store, key, wanted, options)) {
    yield text.subarray(Math.max(0, range.start - rawStart), Math.min(text.length, range.end - rawStart));
    rawStart += text.length;
  }
}

/** The text of one stored frame. @throws PermanentError `store/corrupt` when it is not exactly what its table entry says. */
export function decodeFrame(stored: Buffer, rawBytes: number): Buffer {
  // Node gives the text of all frames that it finds, or on older versions of the first alone: each gets one frame only.
  if (stored.length < 4 || stored.readUInt32LE(0) !== zstdMagic)
    throw new PermanentError("store/corrupt", "has a frame that is not zstd");
  let text: Buffer;
  try {
    text = zstdDecompressSync(stored, { maxOutputLength: rawBytes });
  } catch (error) {
    throw new PermanentError("store/corrupt", "has a frame that cannot be decoded", { cause: error });
  }
  if (text.length !== rawBytes)
    throw new PermanentError("store/corrupt", `has a frame of ${text.length} bytes of text where its table says ${rawBytes}`);
  return text;
}

async function* readFrames(
  store: Store,
  key: string,
  frames: readonly Frame[],
  { versionId }: ReadOptions,
): AsyncIterable<Buffer> {
  const [first, last] = [frames[0], frames.at(-1)];
  if (!first || !last) return;
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
      yield decodeNamed(store, key, bytes.subarray(0, frame.storedBytes), frame);
      pending = [bytes.subarray(frame.storedBytes)];
      pendingBytes -= frame.storedBytes;
      index += 1;
    }
  }
}

function decodeNamed(store: Store, key: string, stored: Buffer, frame: Frame): Buffer {
  try {
    return decodeFrame(stored, frame.rawBytes);
  } catch (error) {
    throw inObject(store, key, error);
  }
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

function missing(): PermanentError {
  return new PermanentError("store/corrupt", "is not there");
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
