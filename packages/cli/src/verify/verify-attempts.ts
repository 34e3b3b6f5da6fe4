// Compares runs and attempts with the run records and with the last seal that has each attempt.

import { runRecordKey, tryParseKey } from "@actions-archive/core/object-key";
import {
  type AttemptContent,
  type AttemptDifference,
  findAttemptDifferences,
  findRunDifferences,
  listOrphanRuns,
  ofAttemptObject,
  type RunDifference,
} from "@actions-archive/database/verify/compare-ledger";
import { findNewestSequence } from "@actions-archive/database/verify/compare-rows";

import { changedColumns, changesOf, type DatabaseCheck, isUnsealed, isYoung, rowName, reportWaiting } from "./database-check.ts";

export async function verifyAttempts(check: DatabaseCheck): Promise<void> {
  await verifyRuns(check);
  const counts: Counts = { waiting: 0, removed: 0, retracted: 0, relisted: 0 };
  const differences = await findAttemptDifferences(check.db);
  const newest = await findNewestSequence(check.db);
  for (const difference of differences) {
    const isWaiting = isUnsealed(check, difference.actual?.sealed_in ?? null, newest);
    const problem = await checkAttempt(check, { ...difference, isWaiting }, counts);
    const name = rowName("attempts", difference.run_id, `run_attempt=${difference.run_attempt}`);
    if (problem) check.result.findings.tamper(problem[0], name, problem[1]);
  }
  const { findings } = check.result;
  reportWaiting(check, "attempts", counts.waiting);
  if (counts.removed > 0)
    findings.notice("not compared", "archive.attempts", `${counts.removed} were removed from the database by a sealed removal`);
  if (counts.retracted > 0)
    findings.notice("not compared", "archive.attempts", `${counts.retracted} from a wrong run object were retracted`);
  if (counts.relisted > 0)
    findings.notice(
      "not compared",
      "archive.attempts",
      `${counts.relisted} were listed again after their run record was written`,
    );
}

/** `isWaiting`: no seal that was read has the row as it is. */
type CheckedAttempt = AttemptDifference & { readonly isWaiting: boolean };
type Counts = { waiting: number; removed: number; retracted: number; relisted: number };
type Problem = readonly ["invalid" | "missing" | "unexpected", string] | undefined;

async function verifyRuns(check: DatabaseCheck): Promise<void> {
  const { db, result } = check;
  let [removed, waiting] = [0, 0];
  for (const difference of await findRunDifferences(db)) {
    const name = rowName("runs", difference.run_id);
    const { actual, recorded, sealed } = difference;
    if (actual === null && isRemoved(check, new Date(String(sealed?.created_at ?? recorded?.["created_at"])))) removed += 1;
    else if (actual === null) result.findings.tamper("missing", name, "its run record, or a seal, says that there is this row");
    else {
      const changes = runChanges(difference);
      if (changes === "") waiting += 1;
      else result.findings.tamper("invalid", name, changes);
    }
  }
  for (const { run_id, first_seen_at } of await listOrphanRuns(db)) {
    if (mayBeLeftOut(check) || isYoung(check, first_seen_at)) waiting += 1;
    else
      result.findings.tamper(
        "unexpected",
        rowName("runs", run_id),
        `no seal and no run record is of it, though it was seen at ${first_seen_at.toISOString()}`,
      );
  }
  reportWaiting(check, "runs", waiting);
  if (removed > 0)
    result.findings.notice("not compared", "archive.runs", `${removed} were removed from the database by a sealed removal`);
}

/** Columns of a run from its newest attempt, which change with an attempt without a run record. */
const ofNewestAttempt = ["run_attempt", "workflow_name", "triggering_actor", "run_started_at"];

function runChanges({ actual, recorded, sealed }: RunDifference): string {
  if (actual === null) return "";
  const shown = Object.fromEntries(
    Object.entries(recorded ?? {}).filter(([column, value]) => {
      // Values that the recorded objects lack may come from another object of the run.
      if (value === null) return false;
      return !(ofNewestAttempt.includes(column) && Number(actual["run_attempt"]) > Number(recorded?.["run_attempt"]));
    }),
  );
  const claimed = sealed === null ? {} : { repository_id: sealed.repository_id };
  const byRecord = changesOf(actual, { ...shown, ...claimed }, "the store");
  const isOtherTime = sealed !== null && Date.parse(String(actual["created_at"])) !== Date.parse(sealed.created_at);
  if (byRecord !== "" || !isOtherTime) return byRecord;
  return `created_at is ${String(actual["created_at"])}, and ${sealed.created_at} by the seals`;
}

// Rows that did not fit into the newest seals may be older than these.
function mayBeLeftOut({ result: { chain } }: DatabaseCheck): boolean {
  return chain.isDamaged || (chain.head?.ledger.attempts_left_out ?? 0) > 0;
}

function isRemoved({ removals: { horizon } }: DatabaseCheck, createdAt: Date | null): boolean {
  return horizon !== undefined && createdAt !== null && createdAt < horizon;
}

async function checkAttempt(check: DatabaseCheck, difference: CheckedAttempt, counts: Counts): Promise<Problem> {
  const { actual, recorded, sealed } = difference;
  if (actual === null) return checkMissing(check, difference, counts);
  if (sealed !== null && sealed.repository_id !== actual.repository_id)
    return ["invalid", `repository_id is ${actual.repository_id}, and ${sealed.repository_id} by seal ${sealed.sequence}`];
  const sealedProblem = checkSealed(check, difference, counts);
  if (sealedProblem !== undefined) return sealedProblem;
  if (recorded !== null) return checkRecorded(check, difference, actual, recorded, counts);
  return checkRecordKey(check, difference, actual);
}

function checkMissing(check: DatabaseCheck, difference: AttemptDifference, counts: Counts): Problem {
  const { recorded, sealed, run_created_at, run_attempt, newest_attempt } = difference;
  if (isRemoved(check, run_created_at)) counts.removed += 1;
  else if (recorded === null && newest_attempt !== null && run_attempt > newest_attempt) counts.retracted += 1;
  else
    return [
      "missing",
      sealed === null ? "its run record is in the store" : `seal ${sealed.sequence} carries it as ${sealed.state}`,
    ];
  return undefined;
}

function checkSealed(
  check: DatabaseCheck,
  { actual, recorded, sealed, first_seen_at, isWaiting }: CheckedAttempt,
  counts: Counts,
): Problem {
  if (actual === null) return undefined;
  const { state, sealed_in } = actual;
  if (sealed_in === null || isWaiting) {
    const isOld = sealed === null && recorded === null && !isYoung(check, first_seen_at);
    // The listing has a time, while a run record may be written late.
    const wasListed = state === "listed" && recorded === null && sealed?.state !== "listed";
    const isOldListing = wasListed && actual.listed_at !== null && !isYoung(check, new Date(actual.listed_at));
    if ((isOld || isOldListing) && !mayBeLeftOut(check))
      return [
        "unexpected",
        `is in no seal as ${state}, though a seal after ${isOld ? first_seen_at?.toISOString() : actual.listed_at} should carry it`,
      ];
    counts.waiting += 1;
    return undefined;
  }
  if (sealed !== null && sealed_in === sealed.sequence)
    return state === sealed.state ? undefined : ["invalid", `state is ${state}, and ${sealed.state} by seal ${sealed.sequence}`];
  // A rebuilt ledger takes it from its run record, and from the seal that has the record.
  const isOfRecord = recorded !== null && sealed_in === recorded.sealed_in && (sealed === null || sealed.sequence <= sealed_in);
  if (isOfRecord) return undefined;
  if (check.result.chain.isDamaged) return undefined;
  return [
    "invalid",
    `is said to be in seal ${sealed_in}; ${sealed === null ? "no seal carries it" : `the last that carries it is ${sealed.sequence}`}`,
  ];
}

// A run record is written once. Reopening its attempt makes the attempt wait for a seal, and its next job list is in no record.
function checkRecorded(
  check: DatabaseCheck,
  { sealed, isWaiting }: CheckedAttempt,
  actual: AttemptContent,
  recorded: AttemptContent,
  counts: Counts,
): Problem {
  const { state: _state, sealed_in: recordSeal, ...expected } = recorded;
  const wasReopened = isWaiting || (sealed !== null && sealed.sequence > (recordSeal ?? Infinity));
  const relistedAt = actual.listed_at !== null && Date.parse(actual.listed_at) > Date.parse(recorded.listed_at ?? "");
  const changed = changedColumns(actual, expected).filter((column) => {
    if (column === "record_key" && actual.record_key === null) return recordSeal !== null;
    if (!wasReopened) return true;
    if (["listed_at", "listed_jobs", "missing_job_ids"].includes(column)) return !relistedAt;
    // A later object of the attempt may have other pull requests, or an account's new name.
    if (ofAttemptObject.some((name) => name === column)) return false;
    // While the attempt is open again, its run may be in progress.
    return !(["status", "conclusion"].includes(column) && actual.status !== "completed");
  });
  if (actual.state !== "listed" && !wasReopened) changed.push("state");
  if (changed.length > 0)
    return [
      "invalid",
      changesOf(
        actual,
        Object.fromEntries(changed.map((column) => [column, { ...recorded }[column as keyof AttemptContent]])),
        "its run record",
      ),
    ];
  if (relistedAt) counts.relisted += 1;
  return undefined;
}

async function checkRecordKey(
  { store, result }: DatabaseCheck,
  difference: AttemptDifference,
  actual: AttemptContent,
): Promise<Problem> {
  const { record_key } = actual;
  if (record_key === null) return undefined;
  const parsed = tryParseKey(record_key);
  const isOwn =
    parsed?.kind === "run" &&
    runRecordKey(parsed.host, {
      repository_id: actual.repository_id,
      run_id: difference.run_id,
      run_attempt: difference.run_attempt,
    }) === record_key;
  // Written since the store was listed, or damaged, which the verification of the store has reported.
  if (isOwn && (result.index.find(record_key) !== undefined || (await store.head(record_key)) !== undefined)) return undefined;
  return ["invalid", `names the run record ${record_key}, which is none of this attempt's in the store`];
}
