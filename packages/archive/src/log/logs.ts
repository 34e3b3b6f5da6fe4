// Stores one log under its job's key, once. If the key is taken, the raw bytes are compared: an equal log is reused, a different one is
// stored under an extra key. Existing objects are never changed.

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
  /** The job's key holds other raw bytes or a damaged object, so the log has an extra key. */
  readonly conflict: boolean;
  /** The log existed already; nothing was written. */
  readonly existing: boolean;
  /** Size of the object in the store: another zstd version may have compressed the same raw bytes differently. */
  readonly storedBytes: number;
  readonly storedSha256: string;
};

export type PutLogTotals = Pick<LogTotals, "rawBytes" | "rawSha256" | "storedBytes" | "storedSha256">;

type Place = { readonly key: string; readonly conflict: boolean };

/**
 * Stores a body and its totals from a LogEncoder. Idempotent, also after a lost response and for concurrent workers.
 * @throws PermanentError `store/corrupt` when both of the job's keys hold other objects.
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
 * Like `putLog`, but only under the extra key: the object under the job's own key is damaged or was removed, and stays as evidence.
 * @throws PermanentError `store/corrupt` when the extra key holds another object.
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
    const existing = await findEqualLog(store, outcome.info, totals);
    if (existing) return { ...place, existing: true, ...existing };
  }
  throw new PermanentError(
    "store/corrupt",
    `The log of SHA-256 ${totals.rawSha256} cannot be stored: ${places.map(({ key }) => key).join(" and ")} in ${store.url} hold other objects. Check these objects; nothing was written.`,
  );
}

/** Size and hash of a log object and of its text, computed from all of its bytes. */
export type LogContent = {
  readonly rawBytes: number;
  readonly rawSha256: string;
  readonly storedBytes: number;
  readonly storedSha256: string;
};

/**
 * Reads the complete log `key` and hashes its stored and decoded bytes, since metadata is only a hint. A checksum or a length of the
 * format covers every byte, so bytes that were corrupted in transit are read again.
 * @throws PermanentError `store/corrupt` when the log is missing or damaged, or its seek table contradicts `rawBytes`.
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

/** The totals of a `LogEncoder`, with the size and the hash of the object that was read. */
export type ReadTotals = Omit<LogTotals, "frames">;

/**
 * Reads the complete log `key` and computes the totals that it had when it was archived. Uses the memory of a `LogEncoder`, and yields
 * to the event loop after each frame.
 * @throws PermanentError `store/corrupt` when the log is missing or damaged; the signal's reason.
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
    // The encoder's output is not needed.
    encoder.write(part.text);
    await setImmediate();
  }
  const { frames: _frames, ...totals } = encoder.end().totals;
  return { ...totals, storedBytes, storedSha256: stored.digest("hex") };
}

async function findEqualLog(
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
    // A damaged object stays as evidence, and the log gets the extra key.
    if (isCorrupt(error)) return undefined;
    throw error;
  }
}
