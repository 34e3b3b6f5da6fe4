// Compares one log with its records and its seal: its size and metadata, or all of its bytes.

import { createHash } from "node:crypto";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { tryParseKey } from "@actions-archive/core/object-key";
import { retry } from "@actions-archive/core/retry";

import { footerBytes, type Frame, parseFooter, parseSeekTable } from "../log/log-format.ts";
import type { LogContent } from "../log/logs.ts";
import { decodeFrame, readSeekTable } from "../log/read-log.ts";
import type { ArchivedLog, LogRecord } from "../record/record.ts";
import { mark } from "../seal/sealed-index.ts";
import { confirmRetries } from "../store/read-document.ts";
import { isCorrupt, type ObjectInfo, type Store } from "../store/store.ts";
import { isSpanned, tamper, type Verification } from "./verify-state.ts";

/** Logs up to this size, which are almost all, are read by one call. */
const maxSingleReadBytes = 4 * 1024 * 1024;

export type NamedLog = { readonly log: ArchivedLog; /** Key of the record that names the log. */ readonly recordKey: string };

/** Compares the log `key` with all records of its job that name it. */
export async function verifyNamedLog(verification: Verification, key: string, named: readonly NamedLog[]): Promise<void> {
  const { store, index, totals } = verification;
  const row = index.find(key);
  if (row !== undefined) index.set(row, mark.isNamed);
  const sealed = row !== undefined && index.sealOf(row) > 0;
  if (sealed) {
    for (const { log, recordKey } of named) {
      if (log.stored_sha256 === index.sha256Of(row) && log.stored_bytes === index.sizeOf(row)) continue;
      tamper(
        verification,
        "invalid",
        recordKey,
        `names the log ${key} with a hash or size that differs from seal ${index.sealOf(row)}`,
      );
    }
    if (index.has(row, mark.isTombstoned) || !index.has(row, mark.isPresent) || index.has(row, mark.isBroken)) return;
    if (!isSpanned(verification, row)) return;
  }
  const info = await store.head(key);
  if (!info) {
    const detail = sealed
      ? "was listed but cannot be read"
      : `is named by ${named[0]?.recordKey}, but is in no seal and does not exist`;
    return tamper(verification, "missing", key, detail);
  }
  totals.logs += 1;
  if (Object.keys(info.metadata).length === 0) totals.withoutMetadata += 1;
  for (const { log, recordKey } of named) {
    const mismatch = metadataMismatch(info, log);
    if (mismatch) return tamper(verification, "invalid", key, `${mismatch} in its record ${recordKey}`);
  }
  if (isRead(verification, key)) await verifyContent(verification, key, { info, named });
}

/** Verifies the sealed log `key`, which no record that was read names. */
export async function verifyLooseLog(verification: Verification, key: string, row: number): Promise<void> {
  const { store, index, totals } = verification;
  const info = await store.head(key);
  if (!info) return tamper(verification, "missing", key, "was listed but cannot be read");
  totals.logs += 1;
  if (Object.keys(info.metadata).length === 0) totals.withoutMetadata += 1;
  if (info.sha256 !== undefined && info.sha256 !== index.sha256Of(row))
    return tamper(
      verification,
      "invalid",
      key,
      `has the hash ${info.sha256} in its metadata, but ${index.sha256Of(row)} in its seal`,
    );
  if (isRead(verification, key)) await verifyContent(verification, key, { info, named: [] });
}

// A log that a seal reports as damaged is always read, since it may have been restored.
function isRead({ isDeep, damages }: Verification, key: string): boolean {
  return isDeep() || damages.has(key);
}

/** Whether the log `key` belongs to the record's job. */
export function isOwnLog(record: LogRecord, key: string): boolean {
  const parsed = tryParseKey(key);
  return (
    parsed?.kind === "log" &&
    parsed.host === record.host &&
    parsed.repository_id === record.repository_id &&
    parsed.run_id === record.run_id &&
    parsed.job_id === record.job_id
  );
}

// Missing metadata is no mismatch, since copies lose it. Wrong metadata was written deliberately.
function metadataMismatch({ metadata, sha256, sizeBytes }: ObjectInfo, log: ArchivedLog): string | undefined {
  const { "raw-sha256": rawSha256, "raw-bytes": rawBytes } = metadata;
  if (sizeBytes !== log.stored_bytes) return `has ${sizeBytes} bytes, but ${log.stored_bytes}`;
  if (rawSha256 !== undefined && rawSha256 !== log.raw_sha256)
    return `has raw-sha256 ${rawSha256} in its metadata, but ${log.raw_sha256}`;
  if (rawBytes !== undefined && rawBytes !== String(log.raw_bytes))
    return `has raw-bytes ${rawBytes} in its metadata, but ${log.raw_bytes}`;
  if (sha256 !== undefined && sha256 !== log.stored_sha256)
    return `has the hash ${sha256} in its metadata, but ${log.stored_sha256}`;
  return undefined;
}

type Evidence = { readonly info: ObjectInfo; readonly named: readonly NamedLog[] };

async function verifyContent(verification: Verification, key: string, { info, named }: Evidence): Promise<void> {
  const { store, index, totals } = verification;
  const row = index.find(key);
  const expected = row !== undefined && index.sealOf(row) > 0 ? index.sha256Of(row) : named[0]?.log.stored_sha256;
  const content = await readConfirmed(store, key, { sizeBytes: info.sizeBytes, expected });
  if (content.damage) return tamper(verification, "invalid", key, content.damage.message);
  totals.logsRead += 1;
  totals.storedBytesRead += content.storedBytes;
  totals.rawBytesRead += content.rawBytes;
  if (row !== undefined && index.sealOf(row) > 0 && content.storedSha256 !== index.sha256Of(row))
    return tamper(
      verification,
      "invalid",
      key,
      `has the hash ${content.storedSha256}, but ${index.sha256Of(row)} in seal ${index.sealOf(row)}`,
    );
  for (const { log, recordKey } of named) {
    const isRaw = content.rawSha256 === log.raw_sha256 && content.rawBytes === log.raw_bytes;
    if (isRaw && content.storedSha256 === log.stored_sha256) continue;
    return tamper(
      verification,
      "invalid",
      key,
      `has ${content.rawBytes} bytes of text with the hash ${content.rawSha256}, but ${log.raw_bytes} with ${log.raw_sha256} in its record ${recordKey}`,
    );
  }
}

type Reading = LogContent & {
  /** Set if the object's format is invalid; then the hash of the text is not valid. */
  readonly damage?: PermanentError;
};

// A read may be corrupted in transit: tampering is reported only if two reads return the same bytes.
async function readConfirmed(
  store: Store,
  key: string,
  { sizeBytes, expected }: { readonly sizeBytes: number; readonly expected: string | undefined },
): Promise<Reading> {
  let last: Reading | undefined;
  const readOnce = async () => {
    const reading = await readContent(store, key, sizeBytes);
    const isExpected = expected === undefined || reading.storedSha256 === expected;
    if ((isExpected && !reading.damage) || last?.storedSha256 === reading.storedSha256) return reading;
    const isFirst = last === undefined;
    last = reading;
    throw new TransientError(
      "store/unavailable",
      `${isFirst ? "A read" : "Each read"} of ${key} in ${store.url} returned ${isFirst ? "unexpected" : "different"} bytes. It is tried again.`,
    );
  };
  return retry(readOnce, { retries: confirmRetries });
}

/** Computes the stored and the raw hash in one read. A damaged log is read completely, too, so that two reads can be compared. */
async function readContent(store: Store, key: string, sizeBytes: number): Promise<Reading> {
  const [stored, raw] = [createHash("sha256"), createHash("sha256")];
  let [storedBytes, rawBytes] = [0, 0];
  let damage: PermanentError | undefined;
  const onChunk = (chunk: Buffer) => {
    stored.update(chunk);
    storedBytes += chunk.length;
  };
  const takeText = (bytes: Buffer, frame: Frame) => {
    if (damage) return;
    const text = decodeFrame(bytes, frame.rawBytes);
    raw.update(text);
    rawBytes += text.length;
  };
  const tryTo = async (read: () => Promise<void> | void) => {
    try {
      await read();
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      damage ??= error;
    }
  };
  if (sizeBytes <= maxSingleReadBytes) {
    await tryTo(async () => decodeAll(await readAll(store, key, sizeBytes), onChunk, takeText));
  } else {
    let frames: readonly Frame[] = [];
    await tryTo(async () => {
      ({ frames } = await readSeekTable(store, key, { sizeBytes }));
    });
    const stream = await store.open(key);
    if (stream) for await (const { bytes, frame } of framesOf(stream, frames, onChunk)) await tryTo(() => takeText(bytes, frame));
    else await tryTo(() => Promise.reject(missing()));
  }
  const content = { rawBytes, rawSha256: raw.digest("hex"), storedBytes, storedSha256: stored.digest("hex") };
  return damage ? { ...content, damage } : content;
}

function missing(): PermanentError {
  return new PermanentError("store/corrupt", "was listed but cannot be read");
}

async function readAll(store: Store, key: string, sizeBytes: number): Promise<Buffer> {
  const bytes = await store.read(key);
  if (!bytes) throw missing();
  if (bytes.length === sizeBytes) return bytes;
  throw new TransientError(
    "store/unavailable",
    `A read of ${key} in ${store.url} returned ${bytes.length} bytes, but it has ${sizeBytes} by its HEAD. It is tried again.`,
  );
}

function decodeAll(bytes: Buffer, onChunk: (chunk: Buffer) => void, takeText: (bytes: Buffer, frame: Frame) => void): void {
  onChunk(bytes);
  if (bytes.length < footerBytes) throw new PermanentError("store/corrupt", "is too short to be a log");
  const tableBytes = parseFooter(bytes.subarray(-footerBytes), bytes.length);
  for (const frame of parseSeekTable(bytes.subarray(-tableBytes), bytes.length))
    takeText(bytes.subarray(frame.storedStart, frame.storedStart + frame.storedBytes), frame);
}

/** Yields the bytes of each frame. `onChunk` receives all bytes, including the seek table. */
async function* framesOf(
  stream: AsyncIterable<Buffer>,
  frames: readonly Frame[],
  onChunk: (chunk: Buffer) => void,
): AsyncIterable<{ readonly bytes: Buffer; readonly frame: Frame }> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let index = 0;
  for await (const chunk of stream) {
    onChunk(chunk);
    pending.push(chunk);
    pendingBytes += chunk.length;
    for (let frame = frames[index]; frame && pendingBytes >= frame.storedBytes; frame = frames[index]) {
      const bytes = pending.length === 1 && pending[0] ? pending[0] : Buffer.concat(pending);
      yield { bytes: bytes.subarray(0, frame.storedBytes), frame };
      pending = [bytes.subarray(frame.storedBytes)];
      pendingBytes -= frame.storedBytes;
      index += 1;
    }
    if (index === frames.length) pending = [];
  }
}
