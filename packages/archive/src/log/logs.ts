// Stores one log under its job's key, once. When the key is taken, the raw bytes decide: equal ones are the log already
// archived, others are kept beside it, and nothing that is there is touched.

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";

import { PermanentError } from "@actions-archive/core/errors";
import type { JobRef } from "@actions-archive/core/ids";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";

import { isCorrupt, type ObjectInfo, type Store, type StoredBody } from "../store/store.ts";
import { LogEncoder, type LogTotals } from "./log-format.ts";
import { type ReadOptions, readStored } from "./read-log.ts";

export const logContentType = "application/zstd";

export type StoredLog = {
  readonly key: string;
  readonly versionId?: string;
  /** The job's own key is taken by other raw bytes, or by something damaged: the log lies beside it. */
  readonly conflict: boolean;
  /** The log was there before; nothing was written. */
  readonly existing: boolean;
  /** Of the object that is there: another zstd version may have stored the same raw bytes differently. */
  readonly storedBytes: number;
  readonly storedSha256: string;
};

export type PutLogTotals = Pick<LogTotals, "rawBytes" | "rawSha256" | "storedBytes" | "storedSha256">;

type Place = { readonly key: string; readonly conflict: boolean };

/**
 * Stores the body that a LogEncoder made, with what it says of it. Idempotent, also after a lost answer and for two workers.
 * @throws PermanentError `store/corrupt` when both of the job's keys are taken by something else.
 */
export function putLog(
  store: Store,
  host: string,
  ref: JobRef,
  spooled: StoredBody,
  totals: PutLogTotals,
  signal?: AbortSignal,
): Promise<StoredLog> {
  const places = [{ key: logKey(host, ref), conflict: false }, conflictingLogOf(host, ref, totals)];
  return putAtFirst(store, places, spooled, totals, signal);
}

/**
 * As `putLog`, but never under the job's own key: that one is damaged or was removed, and what is there, or is not, is evidence.
 * @throws PermanentError `store/corrupt` when the key beside it is taken by something else.
 */
export function putConflictingLog(
  store: Store,
  host: string,
  ref: JobRef,
  spooled: StoredBody,
  totals: PutLogTotals,
  signal?: AbortSignal,
): Promise<StoredLog> {
  return putAtFirst(store, [conflictingLogOf(host, ref, totals)], spooled, totals, signal);
}

function conflictingLogOf(host: string, ref: JobRef, { rawSha256 }: PutLogTotals): Place {
  return { key: conflictingLogKey(host, ref, rawSha256), conflict: true };
}

async function putAtFirst(
  store: Store,
  places: readonly Place[],
  spooled: StoredBody,
  totals: PutLogTotals,
  signal: AbortSignal | undefined,
): Promise<StoredLog> {
  for (const place of places) {
    const outcome = await store.put(place.key, spooled, {
      sha256: totals.storedSha256,
      contentType: logContentType,
      metadata: { "raw-sha256": totals.rawSha256, "raw-bytes": String(totals.rawBytes) },
      signal,
    });
    if (outcome.kind === "created") {
      const { storedBytes, storedSha256 } = totals;
      return {
        ...place,
        existing: false,
        storedBytes,
        storedSha256,
        ...(outcome.versionId === undefined ? {} : { versionId: outcome.versionId }),
      };
    }
    const there = await recognise(store, outcome.info, totals);
    if (there) return { ...place, existing: true, ...there };
  }
  throw new PermanentError(
    "store/corrupt",
    `The log of SHA-256 ${totals.rawSha256} cannot be stored: ${places.map(({ key }) => key).join(" and ")} in ${store.url} hold something else. Look at what is there; nothing was written.`,
  );
}

/** What a log object really holds, read from end to end. */
export type LogContent = {
  readonly rawBytes: number;
  readonly rawSha256: string;
  readonly storedBytes: number;
  readonly storedSha256: string;
};

/**
 * Reads the log `key` from end to end, and hashes it as stored and decoded: the costly certainty behind the metadata's hint. Every
 * byte is under a checksum or a length of the format, so that what changed on its way here is read again.
 * @throws PermanentError `store/corrupt` when it is missing or damaged, or not of `rawBytes` by its table, which is found out at once.
 */
export async function readLogContent(
  store: Store,
  key: string,
  { sizeBytes, versionId, rawBytes: expected }: ReadOptions = {},
): Promise<LogContent> {
  const [stored, raw] = [createHash("sha256"), createHash("sha256")];
  let [storedBytes, rawBytes] = [0, 0];
  for await (const part of readStored(store, key, { sizeBytes, versionId, rawBytes: expected })) {
    stored.update(part.stored);
    storedBytes += part.stored.length;
    raw.update(part.text);
    rawBytes += part.text.length;
  }
  return { rawBytes, rawSha256: raw.digest("hex"), storedBytes, storedSha256: stored.digest("hex") };
}

/** What a `LogEncoder` says of a log, with the size and the hash of the object that was read. */
export type ReadTotals = Omit<LogTotals, "frames">;

/**
 * Reads the log `key` again from end to end, as it was read when it was archived. Memory is bounded as that of a `LogEncoder`, and
 * other work runs between frames.
 * @throws PermanentError `store/corrupt` when it is missing or damaged; the signal's reason.
 */
export async function readLogTotals(
  store: Store,
  key: string,
  options: ReadOptions = {},
  signal?: AbortSignal,
): Promise<ReadTotals> {
  const encoder = new LogEncoder();
  const stored = createHash("sha256");
  let storedBytes = 0;
  for await (const part of readStored(store, key, options)) {
    signal?.throwIfAborted();
    stored.update(part.stored);
    storedBytes += part.stored.length;
    // The bytes that it would store are not needed.
    encoder.write(part.text);
    await setImmediate();
  }
  const { frames: _frames, ...totals } = encoder.end().totals;
  return { ...totals, storedBytes, storedSha256: stored.digest("hex") };
}

async function recognise(
  store: Store,
  info: ObjectInfo,
  totals: PutLogTotals,
): Promise<Pick<StoredLog, "storedBytes" | "storedSha256" | "versionId"> | undefined> {
  const { sizeBytes, versionId } = info;
  const version = versionId === undefined ? {} : { versionId };
  const { "raw-sha256": rawSha256, "raw-bytes": rawBytes } = info.metadata;
  if (rawSha256 !== undefined && (rawSha256 !== totals.rawSha256 || rawBytes !== String(totals.rawBytes))) return undefined;
  try {
    const content = await readLogContent(store, info.key, { sizeBytes, rawBytes: totals.rawBytes, ...version });
    const isEqual = content.rawSha256 === totals.rawSha256 && content.rawBytes === totals.rawBytes;
    return isEqual ? { storedBytes: content.storedBytes, storedSha256: content.storedSha256, ...version } : undefined;
  } catch (error) {
    // Damaged: it stays as evidence, and the log goes beside it.
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}
