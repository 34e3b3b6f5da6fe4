// Object keys, relative to the prefix of ARCHIVE_URL. They consist of the host and ids only, so that no user-chosen name can reach a
// path.

import { type AttemptRef, GitHubId, type JobRef } from "./ids.ts";

export const archiveIdentityKey = "archive.json";

/** The prefix of the probe's objects, which `verify` ignores. */
export const probePrefix = "probe/";

const probeKey = /^probe\/\d{4}-\d{2}-\d{2}(?:-wrong-(?:sha256|md5))?$/;

/** True for a key that the probe writes: one for each day, and those of its bodies with wrong digests. */
export function isProbeKey(key: string): boolean {
  return probeKey.test(key);
}

export function logKey(host: string, { repository_id, run_id, job_id }: JobRef): string {
  return `logs/${host}/${repository_id}/${run_id}/${job_id}.log.zst`;
}

/** The extra key of a log when `logKey` holds other raw bytes. */
export function conflictingLogKey(host: string, { repository_id, run_id, job_id }: JobRef, rawSha256: string): string {
  return `logs/${host}/${repository_id}/${run_id}/${job_id}.${rawSha256}.log.zst`;
}

/** Versions are numbered from 1 without gaps; the first has no number in its key. */
export function recordKey(host: string, { repository_id, run_id, job_id }: JobRef, version: number): string {
  return `records/${host}/${repository_id}/${run_id}/${job_id}.${version === 1 ? "" : `${version}.`}json`;
}

export function runRecordKey(host: string, { repository_id, run_id, run_attempt }: AttemptRef): string {
  return `runs/${host}/${repository_id}/${run_id}/${run_attempt}.json`;
}

/** Seals are numbered from 1 without gaps; twelve digits, so that keys sort by sequence number. */
export function sealKey(sequence: number): string {
  return `seals/${String(sequence).padStart(12, "0")}.json`;
}

/** A parsed key of the archive; `probe/…` and foreign keys have none. */
export type ParsedKey =
  | { readonly kind: "identity" }
  | { readonly kind: "seal"; readonly sequence: number }
  | ({ readonly kind: "run"; readonly host: string } & AttemptRef)
  | ({ readonly kind: "record"; readonly host: string; readonly version: number } & JobRef)
  /** `rawSha256` is set for an extra key. */
  | ({ readonly kind: "log"; readonly host: string; readonly rawSha256: string | undefined } & JobRef);

/** The inverse of the functions above; undefined for any text that none of them returns. */
export function tryParseKey(key: string): ParsedKey | undefined {
  const parsed = parseParts(key);
  return parsed !== undefined && formatKey(parsed) === key ? parsed : undefined;
}

function parseParts(key: string): ParsedKey | undefined {
  if (key === archiveIdentityKey) return { kind: "identity" };
  const [kind, host, repository, run, name, ...rest] = key.split("/");
  if (kind === "seals") return { kind: "seal", sequence: Number.parseInt(host ?? "", 10) };
  if (host === undefined || name === undefined || rest.length > 0) return undefined;
  const [id = "", middle = ""] = name.split(".");
  const ids = [repository, run, id].map(Number);
  if (!ids.every((number) => GitHubId.safeParse(number).success)) return undefined;
  const [repository_id = 0, run_id = 0, last = 0] = ids;
  const job = { host, repository_id, run_id, job_id: last };
  if (kind === "runs") return { kind: "run", host, repository_id, run_id, run_attempt: last };
  if (kind === "records") return { kind: "record", ...job, version: middle === "json" ? 1 : Number(middle) };
  if (kind === "logs") return { kind: "log", ...job, rawSha256: /^[0-9a-f]{64}$/.exec(middle)?.[0] };
  return undefined;
}

function formatKey(parsed: ParsedKey): string {
  switch (parsed.kind) {
    case "identity":
      return archiveIdentityKey;
    case "seal":
      return sealKey(parsed.sequence);
    case "run":
      return runRecordKey(parsed.host, parsed);
    case "record":
      return recordKey(parsed.host, parsed, parsed.version);
    case "log":
      return parsed.rawSha256 === undefined
        ? logKey(parsed.host, parsed)
        : conflictingLogKey(parsed.host, parsed, parsed.rawSha256);
  }
}
