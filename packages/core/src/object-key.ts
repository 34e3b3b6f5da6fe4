// Keys in the bucket, relative to the prefix of ARCHIVE_URL. Made of the host and of ids only, so that no name that a user
// chose can reach a path.

import type { AttemptRef, JobRef } from "./ids.ts";

export const archiveIdentityKey = "archive.json";

/** The folder that the start-up check may write to; `verify` ignores it. */
export const probePrefix = "probe/";

export function logKey(host: string, { repository_id, run_id, job_id }: JobRef): string {
  return `logs/${host}/${repository_id}/${run_id}/${job_id}.log.zst`;
}

/** Where a log goes when `logKey` is taken by other raw bytes. */
export function conflictingLogKey(host: string, { repository_id, run_id, job_id }: JobRef, rawSha256: string): string {
  return `logs/${host}/${repository_id}/${run_id}/${job_id}.${rawSha256}.log.zst`;
}

/** Versions count from 1 without holes; the first has no number in its name. */
export function recordKey(host: string, { repository_id, run_id, job_id }: JobRef, version: number): string {
  return `records/${host}/${repository_id}/${run_id}/${job_id}.${version === 1 ? "" : `${version}.`}json`;
}

export function runRecordKey(host: string, { repository_id, run_id, run_attempt }: AttemptRef): string {
  return `runs/${host}/${repository_id}/${run_id}/${run_attempt}.json`;
}

/** Seals count from 1 without holes; twelve digits, so that keys sort as their sequences do. */
export function sealKey(sequence: number): string {
  return `seals/${String(sequence).padStart(12, "0")}.json`;
}
