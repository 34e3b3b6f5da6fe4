// Compares the ledger's rows with the seals and the run records: windows, full seconds, attempts, runs, repositories, and sealed
// lists. Changes since the newest seal are counted and are no findings.

import {
  findFullSecondDifferences,
  listRepositoryNames,
  listWiderWindows,
} from "@actions-archive/database/verify/compare-ledger";
import {
  findListDifferences,
  type ListDifference,
  listReorderedRows,
  type SealedList,
  sealedListNames,
} from "@actions-archive/database/verify/compare-lists";
import { findNewestSequence, listSealRows } from "@actions-archive/database/verify/compare-rows";
import { analyzeLedgerTables } from "@actions-archive/database/verify/expected-ledger";

import { changesOf, type DatabaseCheck, isUnsealed, isYoung, rowName, reportWaiting } from "./database-check.ts";
import { verifyAttempts } from "./verify-attempts.ts";

/** Must run after all seals and run records were read into the temporary tables. */
export async function verifyLedger(check: DatabaseCheck): Promise<void> {
  await analyzeLedgerTables(check.db);
  await verifyAttempts(check);
  await verifyNames(check);
  if (check.result.chain.isDamaged) {
    check.result.findings.notice("not compared", "archive.windows", "a seal is missing or bad: what it carried is not known");
    return;
  }
  await verifyWindows(check);
  await verifyFullSeconds(check);
  const untrusted = new Set((await listSealRows(check.db)).filter((row) => !row.is_trusted).map(({ sequence }) => sequence));
  for (const list of sealedListNames) await verifyList(check, list, untrusted);
  for (const { table, key } of await listReorderedRows(check.db))
    check.result.findings.tamper("invalid", rowName(table, key), "its rows are not in the order of the seals that carry them");
}

async function verifyWindows(check: DatabaseCheck): Promise<void> {
  const { chain, findings } = check.result;
  let waiting = 0;
  const windows = await listWiderWindows(check.db);
  const newest = await findNewestSequence(check.db);
  for (const window of windows) {
    const { repository_id, window_start, window_end, scanned_at, sealed_in, is_plausible } = window;
    const isWaiting = isYoung(check, scanned_at) || (chain.head?.ledger.windows_left_out ?? 0) > 0;
    if (isUnsealed(check, sealed_in, newest) && isWaiting && is_plausible) waiting += 1;
    else
      findings.tamper(
        "invalid",
        rowName("windows", repository_id, `window_start=${window_start.toISOString()}`),
        `ends at ${window_end.toISOString()}, and all seals together do not cover it`,
      );
  }
  reportWaiting(check, "windows", waiting);
}

async function verifyFullSeconds(check: DatabaseCheck): Promise<void> {
  const { chain, findings } = check.result;
  if ((chain.head?.ledger.full_seconds_left_out ?? 0) > 0) {
    findings.notice("not compared", "archive.full_seconds", "there are more than one seal holds");
    return;
  }
  let waiting = 0;
  for (const { repository_id, second_start, seen_at, covered_at } of await findFullSecondDifferences(check.db)) {
    const name = rowName("full_seconds", repository_id, `second_start=${second_start.toISOString()}`);
    const { horizon } = check.removals;
    if (isYoung(check, seen_at ?? covered_at)) waiting += 1;
    else if (seen_at !== null) findings.tamper("unexpected", name, "the newest seal does not hold it");
    else if (horizon === undefined || second_start >= horizon)
      findings.tamper("missing", name, "the newest seal holds it, and no later listing covers it");
  }
  reportWaiting(check, "full_seconds", waiting);
}

async function verifyNames({ db, names, sealedBefore, result: { chain, findings } }: DatabaseCheck): Promise<void> {
  const slackMs = Math.max(0, Date.parse(chain.head?.sealed_at ?? "") - sealedBefore.getTime()) || 0;
  const expected = new Map(names);
  let waiting = 0;
  for (const { repository_id, full_name, named_at, first_seen_at } of await listRepositoryNames(db)) {
    const known = expected.get(repository_id);
    expected.delete(repository_id);
    // A worker writes a record under the name that it read at the start of its job.
    const isNewer = known !== undefined && (named_at ?? first_seen_at).getTime() + slackMs >= known.at.getTime();
    if (known === undefined || (known.name !== full_name && isNewer)) waiting += 1;
    else if (known.name !== full_name)
      findings.tamper(
        "invalid",
        rowName("repositories", repository_id),
        `full_name is ${JSON.stringify(full_name)}, and ${JSON.stringify(known.name)} at ${known.at.toISOString()} by an object of the store`,
      );
  }
  for (const repository_id of expected.keys())
    findings.tamper("missing", rowName("repositories", repository_id), "an object of the store is of this repository");
  if (waiting > 0)
    findings.notice("unsealed", "archive.repositories", `${waiting} rows have a name that no object of the store gives yet`);
}

async function verifyList(check: DatabaseCheck, list: SealedList, untrusted: ReadonlySet<number>): Promise<void> {
  const { findings } = check.result;
  let [waiting, untaken] = [0, 0];
  const differences = await findListDifferences(check.db, list);
  const newest = await findNewestSequence(check.db);
  for (const difference of differences) {
    const { actual, expected } = difference;
    const name = rowName(list, difference.key);
    const waits = difference.actual !== null && isUnsealed(check, asNumber(difference.actual["sealed_in"]), newest);
    if (waits && mayWait(check, list, difference)) waiting += 1;
    else if (actual === null && untrusted.has(Number(expected?.["sealed_in"]))) untaken += 1;
    else if (actual === null) findings.tamper("missing", name, `seal ${String(expected?.["sealed_in"])} carries it`);
    else if (expected === null) findings.tamper("unexpected", name, unexpectedDetail(difference, waits));
    else findings.tamper("invalid", name, changesOf(actual, expected, "the seals"));
  }
  reportWaiting(check, list, waiting);
  if (untaken > 0)
    findings.notice("not compared", `archive.${list}`, `${untaken} were not taken over from seals for which no key stood`);
}

// Damages and removals change after they were sealed, and then wait for a seal again; other rows are only added.
function mayWait(check: DatabaseCheck, list: SealedList, { expected, at }: ListDifference): boolean {
  const changes = list === "damages" || list === "removals";
  return (expected === null || changes) && isYoung(check, at);
}

function unexpectedDetail({ actual, at }: ListDifference, waits: boolean): string {
  if (!waits) return `is said to be in seal ${String(actual?.["sealed_in"])}, which does not carry it`;
  return `is in no seal, though it is of ${at?.toISOString() ?? "no time"}: a seal after that should carry it`;
}

function asNumber(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
