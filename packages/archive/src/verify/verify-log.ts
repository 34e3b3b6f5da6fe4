// Holds one log against its record and its seal: by what the store says of it, or by every byte.

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

/** Logs up to this size are read in one piece: almost all of them, in one call. */
const wholeBytes = 4 * 1024 * 1024;

export type NamedLog = { readonly log: ArchivedLog; /** Of the record that names it. */ readonly recordKey: string };

/** What all records of one job say of one log of it, `key`. */
export async function verifyNamedLog(verification: Verification, key: string, named: readonly NamedLog[]): Promise<void> {
  const { store, index, totals } = verification;
  const row = index.find(key);
  if (row !== undefined) index.set(row, mark.isNamed);
  const sealed = row !== undefined && index.sealOf(row) > 0;
  if (sealed) {
    for (const { log, recordKey } of named) {
      if (log.stored_sha256 === index.sha256Of(row) && log.stored_bytes === index.sizeOf(row)) continue;
      tamper(verification, "invalid", recordKey, `names the log ${key} with other bytes than seal ${index.sealOf(row)} holds`);
    }
    if (index.has(row, mark.isTombstoned) || !index.has(row, mark.isPresent) || index.has(row, mark.isBroken)) return;
    if (!isSpanned(verification, row)) return;
  }
  const info = await store.head(key);
  if (!info) {
    const detail = sealed
      ? "was listed and cannot be read"
      : `is named by ${named[0]?.recordKey}, is in no seal, and is not there`;
    return tamper(verification, "missing", key, detail);
  }
  totals.logs += 1;
  if (Object.keys(info.metadata).length === 0) totals.withoutMetadata += 1;
  for (const { log, recordKey } of named) {
    const wrong = wrongMetadata(info, log);
    if (wrong) return tamper(verification, "invalid", key, `${wrong} of its record ${recordKey}`);
  }
  if (isRead(verification, key)) await verifyContent(verification, key, { info, named });
}

/** The log `key` of a seal, which no record that was read names. */
export async function verifyLooseLog(verification: Verification, key: string, row: number): Promise<void> {
  const { store, index, totals } = verification;
  const info = await store.head(key);
  if (!info) return tamper(verification, "missing", key, "was listed and cannot be read");
  totals.logs += 1;
  if (Object.keys(info.metadata).length === 0) totals.withoutMetadata += 1;
  if (info.sha256 !== undefined && info.sha256 !== index.sha256Of(row))
    return tamper(
      verification,
      "invalid",
      key,
      `has the hash ${info.sha256} by its metadata, and ${index.sha256Of(row)} in its seal`,
    );
  if (isRead(verification, key)) await verifyContent(verification, key, { info, named: [] });
}

// What a seal says to be damaged may have been restored: only its bytes can tell.
function isRead({ isDeep, damages }: Verification, key: string): boolean {
  return isDeep() || damages.has(key);
}

/** True when the record's key and what it names belong together. */
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

// Missing metadata is information, since copies lose it; wrong metadata was written by somebody.
function wrongMetadata({ metadata, sha256, sizeBytes }: ObjectInfo, log: ArchivedLog): string | undefined {
  const { "raw-sha256": rawSha256, "raw-bytes": rawBytes } = metadata;
  if (sizeBytes !== log.stored_bytes) return `has ${sizeBytes} bytes, and not the ${log.stored_bytes}`;
  if (rawSha256 !== undefined && rawSha256 !== log.raw_sha256) return `has metadata raw-sha256 ${rawSha256}, and not that`;
  if (rawBytes !== undefined && rawBytes !== String(log.raw_bytes)) return `has metadata raw-bytes ${rawBytes}, and not those`;
  if (sha256 !== undefined && sha256 !== log.stored_sha256) return `has the hash ${sha256} by its metadata, and not that`;
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
      `has the hash ${content.storedSha256}, and seal ${index.sealOf(row)} holds it with ${index.sha256Of(row)}`,
    );
  for (const { log, recordKey } of named) {
    const isRaw = content.rawSha256 === log.raw_sha256 && content.rawBytes === log.raw_bytes;
    if (isRaw && content.storedSha256 === log.stored_sha256) continue;
    return tamper(
      verification,
      "invalid",
      key,
      `holds ${content.rawBytes} bytes of text with the hash ${content.rawSha256}, and its record ${recordKey} says ${log.raw_bytes} and ${log.raw_sha256}`,
    );
  }
}

type Reading = LogContent & {
  /** What is wrong with the object's form; then the text is not known. */
  readonly damage?: PermanentError;
};

// One reading may have gone wrong on its way: only what was read alike twice was tampered with.
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
      `${key} in ${store.url} was not read ${isFirst ? "as expected" : "alike twice"}. It is tried again.`,
    );
  };
  return retry(readOnce, { retries: confirmRetries });
}

/** Stored and raw hash in one reading. What is damaged is read to its end, too: whether it was read alike shows by all of its bytes. */
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
  if (sizeBytes <= wholeBytes) {
    await tryTo(async () => takeWhole(await readWhole(store, key, sizeBytes), onChunk, takeText));
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
  return new PermanentError("store/corrupt", "was listed and cannot be read");
}

async function readWhole(store: Store, key: string, sizeBytes: number): Promise<Buffer> {
  const bytes = await store.read(key);
  if (!bytes) throw missing();
  if (bytes.length === sizeBytes) return bytes;
  throw new TransientError(
    "store/unavailable",
    `${key} in ${store.url} came with ${bytes.length} bytes and has ${sizeBytes} by its HEAD. It is tried again.`,
  );
}

function takeWhole(bytes: Buffer, onChunk: (chunk: Buffer) => void, takeText: (bytes: Buffer, frame: Frame) => void): void {
  onChunk(bytes);
  if (bytes.length < footerBytes) throw new PermanentError("store/corrupt", "is too short to be a log");
  const tableBytes = parseFooter(bytes.subarray(-footerBytes), bytes.length);
  for (const frame of parseSeekTable(bytes.subarray(-tableBytes), bytes.length))
    takeText(bytes.subarray(frame.storedStart, frame.storedStart + frame.storedBytes), frame);
}

/** Each frame's bytes as they come; `onChunk` sees all bytes, the seek table's too. */
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
