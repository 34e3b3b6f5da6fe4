// Checks all invariants of an archive: its rows, objects, seals, requests and processes, against the simulator's oracle. The archive must be
// quiescent.

import type { CheckContext } from "./check-context.ts";
import { checkAttempts, checkCoverage, type Coverage } from "./coverage.ts";
import type { Evidence } from "./evidence.ts";
import { checkJobs } from "./jobs.ts";
import { secretsOf } from "./leaks.ts";
import { checkLeaks } from "./log-leaks.ts";
import { listTrueJobs } from "./oracle.ts";
import { checkBounds, checkCrashes, checkLiveness } from "./processes.ts";
import { readStore } from "./read-store.ts";
import { checkDownloads, checkRate } from "./requests.ts";
import { readRows, type Rows } from "./rows.ts";
import { checkChain, checkSealed, checkSealEntries } from "./seals.ts";
import { checkCounts, checkStore } from "./store.ts";
import type { Invariant, Violation } from "./violation.ts";
import { checkUpdates, wasWatched } from "./watch-rows.ts";

export type CheckResult = {
  /** One for each broken promise. */
  readonly violations: readonly Violation[];
  /** The invariants that there was evidence for, and that were checked. */
  readonly checked: readonly string[];
  readonly jobs: number;
  readonly archived: number;
  readonly absent: number;
  readonly failed: number;
  readonly pending: number;
  /** Attempts by state. */
  readonly attempts: Readonly<Record<string, number>>;
  /** Undefined where coverage was not checked. */
  readonly coverage: Coverage | undefined;
  readonly medianLogBytes: number;
};

/** Checks a quiescent archive. Reads everything, writes nothing. */
export async function checkInvariants(evidence: Evidence): Promise<CheckResult> {
  const { client, since, canaries, processes, leftovers, fresh, verify } = evidence;
  const shared: CheckContext = { evidence, rows: await readRows(client), oracle: await listTrueJobs(evidence) };
  const secrets = secretsOf(canaries ?? [], canaries === undefined ? new Set() : evidence.journal.signatures);
  const store = await readStore(evidence.objects, secrets);
  const held = { ...shared, store, secrets };
  const covered = since && (await checkCoverage(shared, since));
  const isWatched = await wasWatched(client);
  const isBounded = processes !== undefined || leftovers !== undefined;
  const hasChain = verify !== undefined || store.seals.length > 0;
  const violations = [
    ...(await checkJobs(shared)),
    ...checkAttempts(shared),
    ...checkStore(held),
    ...checkDownloads(shared),
    ...checkSealEntries(held),
    ...(isWatched ? await checkUpdates(client) : []),
    ...checkRate(shared),
    ...(canaries === undefined ? [] : await checkLeaks(held)),
    ...(isBounded ? checkBounds(evidence, store) : []),
    ...(fresh === undefined ? [] : checkLiveness(fresh)),
    ...checkCrashes(evidence),
    ...(hasChain ? await checkChain(held) : []),
    ...checkCounts(held),
    ...(await checkSealed(held)),
    ...(covered?.violations ?? []),
  ];
  const hasEvidence: Readonly<Record<Invariant, boolean>> = {
    I1: true,
    I2: true,
    I3: true,
    I4: true,
    I5: isWatched,
    I6: true,
    I7: canaries !== undefined,
    I8: isBounded,
    I9: fresh !== undefined,
    I10: hasChain,
    I11: true,
    coverage: covered !== undefined,
  };
  const checked = Object.entries(hasEvidence).flatMap(([invariant, isThere]) => (isThere ? [invariant] : []));
  return { violations, checked, coverage: covered?.coverage, ...countsOf(shared.rows) };
}

function countsOf({ jobs, states }: Rows) {
  const count = (state: string) => jobs.filter(({ log_state }) => log_state === state).length;
  const sizes = jobs.flatMap(({ log_bytes }) => (log_bytes === null ? [] : [log_bytes])).toSorted((a, b) => a - b);
  const attempts = Map.groupBy([...states.values()].flat(), (state) => state);
  return {
    jobs: jobs.length,
    archived: count("archived"),
    absent: count("absent"),
    failed: count("failed"),
    pending: count("pending"),
    attempts: Object.fromEntries([...attempts].map(([state, all]) => [state, all.length])),
    medianLogBytes: sizes[Math.floor(sizes.length / 2)] ?? 0,
  };
}

export type { Violation };
