// Checks that every object of the store belongs to something that the simulator issued, is complete, unique and counted.

import type { Expected } from "@actions-archive/github-simulator/log/expected";

import type { CheckContext } from "./check-context.ts";
import type { StoredLog, StoredRecord, StoreView } from "./read-store.ts";
import type { JobRow } from "./rows.ts";
import type { StoredKey } from "./stored-keys.ts";
import { type Violation, violationsOf } from "./violation.ts";

type CheckedSystem = CheckContext & { readonly store: StoreView };

/** I2, I3 and I4, for the store. */
export function checkStore(context: CheckedSystem): Violation[] {
  return [
    ...violationsOf("I2", [...checkBytes(context), ...checkSidecars(context.store)]),
    ...violationsOf("I3", [...checkLogCopies(context), ...checkVersions(context)]),
    ...violationsOf("I4", [...checkNames(context), ...checkRecordIds(context.store)]),
  ];
}

function checkBytes({ rows, oracle, store }: CheckedSystem): string[] {
  const wrong: string[] = [];
  for (const row of rows.jobs) {
    if (row.log_state !== "archived") continue;
    const log = store.logs.get(row.job_id)?.find(({ key }) => key === row.log_key);
    // A missing log is counted elsewhere.
    if (log === undefined) continue;
    const sources: unknown[] =
      oracle
        .get(row.job_id)
        ?.ends?.filter(isArchived)
        .map(({ rawSha256 }) => rawSha256) ?? [];
    if (log.raw === undefined) wrong.push(`${log.key} does not decode to its end`);
    else if (!sources.includes(log.raw.sha256) && sources.length > 0)
      wrong.push(`${log.key} holds ${log.raw.bytes} bytes with SHA-256 ${log.raw.sha256}, the source ${sources.join(" or ")}`);
    else if (log.raw.sha256 !== row.log_sha256 || log.raw.bytes !== row.log_bytes)
      wrong.push(`${log.key} holds ${log.raw.bytes} bytes, and is not the log of its row`);
  }
  // Extra logs, which no row names, are evidence too.
  const extraLogs = [...store.logs.values()].flat().filter((log) => !rows.repairs.has(log.key) && !isOfRow(rows.byJob, log));
  const torn = extraLogs.filter(({ raw, rawSha256 }) => raw === undefined || raw.sha256 !== (rawSha256 ?? raw.sha256));
  return [...wrong, ...torn.map(({ key }) => `${key} is not what its name says, or is cut`)];
}

function isArchived(end: Expected): end is Extract<Expected, { state: "archived" }> {
  return end.state === "archived";
}

function isOfRow(byJob: CheckContext["rows"]["byJob"], { jobId, key }: StoredLog): boolean {
  return byJob.get(jobId)?.some(({ log_key }) => log_key === key) ?? false;
}

// A folder's sidecar contains the hash of its object.
function checkSidecars({ keys, logs }: StoreView): string[] {
  const sidecars = Map.groupBy(
    keys.filter((stored) => stored.kind === "sidecar"),
    ({ of }) => of,
  );
  if (sidecars.size === 0) return [];
  return [...logs.values()].flat().flatMap(({ key, storedSha256, raw }) => {
    const reported = sidecars.get(key) ?? [];
    // Reported already.
    if (raw === undefined || (reported.length === 1 && reported[0]?.sha256 === storedSha256)) return [];
    return [`${key} has ${reported.length} sidecars, and must have the one of its bytes`];
  });
}

function checkLogCopies({ rows, store }: CheckedSystem): string[] {
  return [...store.logs].flatMap(([jobId, logs]) => {
    const [row] = rows.byJob.get(jobId) ?? [];
    const others = logs.filter(({ key }) => key !== row?.log_key && !rows.repairs.has(key) && !rows.tombstones.has(key));
    const isAllowed = row?.log_state !== "archived" || row.log_flags.includes("changed_since");
    return isAllowed ? [] : others.map(({ key }) => `${key} conflicts with the log of job ${jobId}`);
  });
}

// Versions count from 1 without a gap, and each adds to its predecessor.
function checkVersions({ store, rows, evidence }: CheckedSystem): string[] {
  return [...store.records].flatMap(([jobId, records]) => {
    const versions = records.toSorted((a, b) => a.version - b.version);
    const isWhole = versions.every(({ version }, index) => version === index + 1);
    if (!isWhole) return [`record versions of job ${jobId}: ${versions.map(({ version }) => version).join(", ")}`];
    return versions
      .slice(1)
      .filter((record, index) => !evidence.hadFaults && !addsInformation(versions[index], record, rows.repairs))
      .map(({ key }) => `${key} is a version more, and says nothing that the one before could not`);
  });
}

// A log was found after all, read with other bytes, or repaired; or it is a copy's original that came late; or it was read again with more
// extracted facts or more steps in the job object.
function addsInformation(before: StoredRecord | undefined, { record }: StoredRecord, repairs: ReadonlySet<string>): boolean {
  const [old, log] = [before?.record?.log, record?.log];
  if (old === undefined || log === undefined) return false;
  if (old.state !== log.state) return log.state === "archived";
  if (log.state === "absent") return old.reason !== log.reason;
  const isReread =
    (record?.extraction_version ?? 0) > (before?.record?.extraction_version ?? 0) || knownOf(record) > knownOf(before?.record);
  return isReread || log.flags.includes("changed_since") || repairs.has(log.key ?? "");
}

/** @returns the number of values in the steps of a record's job object. */
function knownOf(record: StoredRecord["record"]): number {
  const values = record?.job.steps?.flatMap((step) => Object.values(step)) ?? [];
  return values.filter((value) => value !== null).length;
}

function checkNames({ store, evidence, oracle }: CheckedSystem): string[] {
  const objects = new Set(store.keys.map(({ key }) => key));
  const isIssued = (stored: StoredKey): boolean => {
    switch (stored.kind) {
      case "foreign":
        return false;
      case "sidecar":
        return objects.has(stored.of);
      case "log":
      case "record": {
        const known = oracle.get(stored.jobId);
        const isAt = known?.job.run.id === stored.runId && known.job.run.repository.id === stored.repositoryId;
        return isAt && known.ends !== undefined && stored.host === store.host;
      }
      case "run": {
        const run = evidence.simulator.world.runs.get(stored.runId);
        const isKnown = run?.attempts.some(({ number }) => number === stored.attempt) ?? false;
        return isKnown && run?.repository.id === stored.repositoryId && stored.host === store.host;
      }
      case "seal":
      case "identity":
      case "unfinished":
      case "probe":
        return true;
    }
  };
  return store.keys.filter((stored) => !isIssued(stored)).map(({ key }) => `${key} is of nothing that the simulator issued`);
}

function checkRecordIds({ records }: StoreView): string[] {
  return [...records.values()]
    .flat()
    .filter(
      ({ record, jobId, runId, repositoryId }) =>
        record?.job_id !== jobId || record.run_id !== runId || record.repository_id !== repositoryId,
    )
    .map(({ key }) => `${key} is no record of its job`);
}

/** I11: shown jobs, rows, records in force and objects are equal in number. */
export function checkCounts({ rows, oracle, store }: CheckedSystem): Violation[] {
  const compare = (what: string, found: number, wanted: number) => (found === wanted ? [] : [`${found} ${what}, not ${wanted}`]);
  const shown = [...oracle.values()].filter(({ job, ends, isOptional }) =>
    isOptional ? rows.byJob.has(job.id) : ends !== undefined,
  );
  const count = (state: string) => rows.jobs.filter(({ log_state }) => log_state === state).length;
  const listed = [...rows.states.values()].flat().filter((state) => state === "listed").length;
  const logs = [...store.logs.values()].filter((all) => all.some(({ key }) => !rows.tombstones.has(key)));
  return violationsOf("I11", [
    ...compare("rows of audit.jobs", rows.jobs.length, shown.length),
    ...compare("jobs with a record", store.records.size, count("archived") + count("absent")),
    ...compare("jobs with a log object", logs.length, count("archived")),
    ...compare("run records", store.runs.length, listed),
    ...rows.jobs.flatMap((row) => checkRecordInForce(row, store)),
    ...(store.keys.some(({ kind }) => kind === "identity") ? [] : ["archive.json is not in the store"]),
  ]);
}

// The highest version is in force, and archived outranks absent. A row equals that record, and names existing objects.
function checkRecordInForce(row: JobRow, { records, logs }: StoreView): string[] {
  const versions = records.get(row.job_id)?.toSorted((a, b) => a.version - b.version) ?? [];
  const isSettled = row.log_state === "archived" || row.log_state === "absent";
  if (isSettled !== versions.length > 0) return [`job ${row.job_id} is ${row.log_state}, with ${versions.length} records`];
  if (row.log_state === "archived" && !logs.get(row.job_id)?.some(({ key }) => key === row.log_key))
    return [`${row.log_key} is not in the store`];
  const log = (versions.findLast(({ record }) => record?.log.state === "archived") ?? versions.at(-1))?.record?.log;
  if (row.log_reason === "removed" || log === undefined) return [];
  const isSame = log.state === row.log_state && (log.key ?? null) === row.log_key && (log.reason ?? null) === row.log_reason;
  return isSame ? [] : [`job ${row.job_id} is ${row.log_state} by its row, and ${log.state} by its record`];
}
