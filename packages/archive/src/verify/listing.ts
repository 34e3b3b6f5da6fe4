// Compares the listing of the store with the seals: finds unsealed objects, extra versions and wrong sizes.

import { isProbeKey, type ParsedKey, tryParseKey } from "@actions-archive/core/object-key";

import { mark } from "../seal/sealed-index.ts";
import type { ListedVersion, Store } from "../store/store.ts";
import { isSpanned, tamper, type Verification } from "./verify-state.ts";

/** Records of one job, by version. */
export type JobToVerify = {
  readonly kind: "job";
  readonly records: readonly { readonly key: string; readonly version: number }[];
};
export type ObjectToVerify = { readonly kind: "run" | "identity"; readonly key: string };
export type ToVerify = JobToVerify | ObjectToVerify;

/** Records are read into memory, so a larger object is refused. The largest records have a tenth of this. */
const maxRecordBytes = 256 * 1024 * 1024;

/** Lists all objects of the store, with their versions if it can list versions. */
export async function listObjects(
  store: Store,
): Promise<{ readonly objects: AsyncIterable<ListedVersion>; readonly hasVersions: boolean }> {
  const versions = await store.listVersions("");
  return versions ? { objects: versions, hasVersions: true } : { objects: withoutVersions(store), hasVersions: false };
}

async function* withoutVersions(store: Store): AsyncIterable<ListedVersion> {
  for await (const object of store.list("")) yield { ...object, isLatest: true, isDeleteMarker: false };
}

/**
 * Records each listed object in the index, and yields the objects to be read: records by job, since a job's versions form a chain.
 * Logs come before records in a listing, so the log of a yielded record is in the index.
 */
export async function* checkListing(
  verification: Verification,
  objects: AsyncIterable<ListedVersion>,
): AsyncGenerator<ToVerify, undefined> {
  let folder = "";
  let records: FoundRecord[] = [];
  for await (const versions of byKey(objects)) {
    verification.signal?.throwIfAborted();
    const [{ key }] = versions;
    const parsed = recordObject(verification, versions);
    if (parsed?.kind === "record") {
      const parent = key.slice(0, key.lastIndexOf("/"));
      if (parent !== folder) {
        yield* jobsOf(records);
        [folder, records] = [parent, []];
      }
      records.push({ ...parsed, key });
    } else if (parsed?.kind === "run" || parsed?.kind === "identity") {
      yield { kind: parsed.kind, key };
    }
  }
  yield* jobsOf(records);
}

type FoundRecord = Extract<ParsedKey, { kind: "record" }> & { readonly key: string };
type Versions = readonly [ListedVersion, ...ListedVersion[]];

async function* byKey(objects: AsyncIterable<ListedVersion>): AsyncIterable<Versions> {
  let group: [ListedVersion, ...ListedVersion[]] | undefined;
  for await (const object of objects) {
    if (group?.[0].key === object.key) {
      group.push(object);
      continue;
    }
    if (group) yield group;
    group = [object];
  }
  if (group) yield group;
}

function jobsOf(records: readonly FoundRecord[]): JobToVerify[] {
  return [...Map.groupBy(records, ({ job_id }) => job_id).values()].map((ofJob) => ({
    kind: "job",
    records: ofJob.toSorted((a, b) => a.version - b.version),
  }));
}

/** The parsed key of an object that has to be read; otherwise undefined. */
function recordObject(verification: Verification, versions: Versions): ParsedKey | undefined {
  const { index, totals } = verification;
  const [{ key }] = versions;
  const latest = versions.find(({ isLatest }) => isLatest) ?? versions[0];
  if (latest.oddity !== undefined) return reportOddity(verification, latest);
  if (isProbeKey(key)) return undefined;
  totals.listed += 1;
  const row = index.find(key);
  if (row === undefined || !index.has(row, mark.isTombstoned)) reportVersions(verification, versions);
  if (latest.isDeleteMarker) return undefined;
  return row !== undefined && index.sealOf(row) > 0
    ? recordSealed(verification, latest, row)
    : reportUnsealed(verification, latest);
}

// An archive writes each key once and creates no delete markers: any other version or marker comes from elsewhere.
function reportVersions({ findings }: Verification, versions: Versions): void {
  const [{ key }] = versions;
  const markers = versions.filter(({ isDeleteMarker }) => isDeleteMarker);
  const written = versions.filter(({ isDeleteMarker }) => !isDeleteMarker);
  if (markers.length > 0)
    findings.tamper("unexpected", key, `has a delete marker of ${timesOf(markers)}; remaining versions: ${idsOf(written)}`);
  if (written.length > 1)
    findings.tamper(
      "unexpected",
      key,
      `has ${written.length} versions of ${timesOf(written)}, and an archive writes one: ${idsOf(written)}`,
    );
}

const timesOf = (versions: readonly ListedVersion[]) => versions.map(({ lastModified }) => lastModified.toISOString()).join(", ");
const idsOf = (versions: readonly ListedVersion[]) => versions.map(({ versionId }) => versionId ?? "null").join(", ") || "none";

function recordSealed(verification: Verification, { key, sizeBytes }: ListedVersion, row: number): ParsedKey | undefined {
  const { index, findings } = verification;
  index.set(row, mark.isPresent);
  if (index.has(row, mark.isTombstoned)) {
    findings.notice("tombstoned", key, "was removed by decision, but still exists: the store may have locked it");
    return undefined;
  }
  if (!isSpanned(verification, row)) return undefined;
  const sealedBytes = index.sizeOf(row);
  if (sizeBytes === sealedBytes) return tryParseKey(key);
  tamper(verification, "invalid", key, `has ${sizeBytes} bytes, but ${sealedBytes} in seal ${index.sealOf(row)}`);
  return undefined;
}

function reportUnsealed(verification: Verification, object: ListedVersion): ParsedKey | undefined {
  const { chain, index, findings, sealedBefore } = verification;
  const { key, sizeBytes, lastModified } = object;
  const parsed = tryParseKey(key);
  if (!parsed) return reportForeign(verification, object);
  if (parsed.kind === "seal") {
    if (!chain.seen.has(parsed.sequence)) findings.notice("unsealed", key, "was written during the verification");
    return undefined;
  }
  if (parsed.kind !== "identity" && parsed.host !== chain.head?.host) {
    findings.tamper("unexpected", key, `belongs to ${parsed.host}, but this archive belongs to ${chain.head?.host}`);
    return undefined;
  }
  if (parsed.kind !== "log" && sizeBytes > maxRecordBytes) {
    findings.tamper("unexpected", key, `has ${sizeBytes} bytes, more than any record`);
    return undefined;
  }
  index.set(index.addUnsealed(key, sizeBytes), mark.isPresent);
  const written = `written at ${lastModified.toISOString()}`;
  if (chain.isDamaged) findings.notice("unsealed", key, `${written}; it may be in a seal that is missing or invalid`);
  else if (lastModified > sealedBefore) findings.notice("unsealed", key, `${written}; it waits for a seal`);
  else findings.tamper("unexpected", key, `is in no seal, although it was ${written}: a later seal should contain it`);
  return parsed;
}

// Only logs have metadata. It is written before its log and removed after it, so a crash in between can leave it alone. A missing sealed log
// is reported separately.
function reportOddity({ findings }: Verification, { key, oddity, lastModified }: ListedVersion): undefined {
  const folder = key.slice(0, key.lastIndexOf("/") + 1);
  const [, name = ""] = /^\.(.+)\.[0-9a-f]{64}\.meta$/.exec(key.slice(folder.length)) ?? [];
  const what = oddity === "metadata" ? "metadata without its object" : "a device, pipe or socket";
  if (oddity === "metadata" && tryParseKey(`${folder}${name}`)?.kind === "log")
    findings.notice("foreign", key, "is the metadata of a log that does not exist: a write or a removal was interrupted");
  else if (isArchivePlace(key))
    findings.tamper("unexpected", key, `is ${what} of ${lastModified.toISOString()}, which an archive does not create`);
  else findings.notice("foreign", key, `is ${what}`);
}

/** True at the root and in the folders of an archive. */
function isArchivePlace(key: string): boolean {
  const [top = "", ...rest] = key.split("/");
  return rest.length === 0 || ["logs", "records", "runs", "seals", "probe"].includes(top);
}

function reportForeign({ findings }: Verification, { key, lastModified }: ListedVersion): undefined {
  const isHidden = key.split("/").some((segment) => segment.startsWith("."));
  const detail = `is not an object of an archive, and was written at ${lastModified.toISOString()}`;
  if (isArchivePlace(key) && !isHidden) findings.tamper("unexpected", key, detail);
  else findings.notice("foreign", key, detail);
}
