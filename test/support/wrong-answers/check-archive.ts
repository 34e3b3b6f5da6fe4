// Checks an archive after a wrong answer against the simulator's world. It is honest if every loss is named by a gap, no day with a loss
// counts as complete, and no state is wrong. It is settled if it equals an archive without wrong answers.

import type { PassReport } from "@actions-archive/cli/once/pass-report";
import { isOwed } from "@actions-archive/database/audit/gaps";
import type { JobSummary } from "@actions-archive/github-simulator/summary";
import { checkInvariants } from "@actions-archive/testkit/invariants/invariants";
import { folderSource } from "@actions-archive/testkit/invariants/object-source";
import { query, type JobRow, readRows } from "@actions-archive/testkit/invariants/rows";

import type { Archive } from "./archive.ts";
import type { Labels } from "./world.ts";

export type CheckResult = {
  /** Broken invariants: unnamed losses, wrong states, a day with a loss that counts as complete. */
  readonly violations: readonly string[];
  /** Losses that a gap names, with the gap. */
  readonly named: readonly string[];
  /** Differences from an archive without wrong answers; empty once it has healed. */
  readonly unsettled: readonly string[];
  /** Whether all differences are in fields of jobs, while every state is right and no work is due. */
  readonly hasOnlyOddFields: boolean;
};

type GapRow = {
  kind: string;
  repository_id: number | null;
  run_id: number | null;
  run_attempt: number | null;
  job_id: number | null;
  window_start: Date | null;
  window_end: Date | null;
  reason: string | null;
};

type CoverageRow = { window_start: Date; window_end: Date; complete: boolean };

/** A run or a job that the archive must have. */
type Item = {
  readonly label: string;
  readonly runId: number;
  readonly attempt?: number;
  readonly jobId?: number;
  readonly createdAtMs: number;
};

type Case = {
  readonly labels: Labels;
  readonly gaps: readonly GapRow[];
  readonly coverage: readonly CoverageRow[];
  readonly report: PassReport;
};

export async function checkArchive(archive: Archive, report: PassReport): Promise<CheckResult> {
  const { client, world, folder, journal } = archive;
  const gaps = await query<GapRow>(client, "select * from audit.gaps");
  const coverage = await query<CoverageRow>(client, "select window_start, window_end, complete from audit.coverage");
  const shared: Case = { labels: world.labels, gaps, coverage, report };
  const { states, missing, copies } = await compareStates(archive);
  const named = missing.map((item) => ({ item, gap: gaps.find((gap) => names(gap, item)) }));
  const violations = [...states, ...named.flatMap(({ item, gap }) => checkMissing(shared, item, gap))];
  const [since] = await query<{ since: Date | null }>(client, "select max(archive_since) as since from archive.repositories");
  journal.drain();
  const objects = folderSource(folder);
  const { violations: differences } = await checkInvariants({
    simulator: world.simulator,
    journal,
    client,
    objects,
    since: since?.since ?? undefined,
    hadFaults: true,
  });
  const owed = gaps.filter((gap) => isOwed(gap as unknown as Parameters<typeof isOwed>[0]));
  const unsettled = [
    ...differences.filter(({ what }) => !copies.has(idIn(what))).map(({ invariant, what }) => `${invariant} ${what}`),
    ...owed.map(({ kind, reason }) => `gap ${kind} ${reason}`),
    ...(report.complete ? [] : [`the report is not complete: ${report.given_up.join("; ")}`]),
  ];
  return {
    violations,
    named: named.map(({ item, gap }) => `${item.label}: ${gap === undefined ? "no gap" : `${gap.kind} ${gap.reason}`}`),
    unsettled,
    hasOnlyOddFields: violations.length + missing.length === 0 && unsettled.every((difference) => difference.startsWith("I1 ")),
  };
}

/** Wrong states, and jobs without a terminal state. */
type Comparison = {
  readonly states: string[];
  readonly missing: Item[];
  /** Copies that were archived as logs of their own, and their originals. */
  readonly copies: ReadonlySet<number>;
};

/** @returns the first job id in a difference. */
function idIn(difference: string): number {
  return Number(/job (\d+)/.exec(difference)?.[1] ?? 0);
}

async function compareStates({ client, world }: Archive): Promise<Comparison> {
  const { simulator, labels } = world;
  const { jobs } = await simulator.control.world({ expected: true });
  const rows = await readRows(client);
  const states: string[] = [];
  const missing: Item[] = [];
  const copies = new Set<number>();
  for (const run of simulator.world.runs.values()) {
    const label = `run ${labels.runs.get(run.id)}`;
    if (!rows.states.has(run.id)) missing.push({ label, runId: run.id, createdAtMs: run.createdAtMs });
  }
  for (const job of jobs) {
    const label = `job ${labels.jobs.get(job.jobId)}`;
    const [row] = rows.byJob.get(job.jobId) ?? [];
    if (job.expected === undefined) {
      if (row !== undefined) states.push(`${label} is not completed, and audit.jobs says ${row.conclusion}`);
      continue;
    }
    const found = stateOf(row);
    if (found === "missing") {
      const createdAtMs = simulator.world.runs.get(job.runId)?.createdAtMs ?? 0;
      missing.push({ label, runId: job.runId, attempt: job.attempt, jobId: job.jobId, createdAtMs });
    } else if (found !== wantedOf(job.expected)) {
      const original = originalOf(job, found, jobs);
      if (original === undefined) states.push(`${label} is ${found}, not ${wantedOf(job.expected)}`);
      else copies.add(job.jobId).add(original.jobId);
    }
  }
  const known = new Set(jobs.map(({ jobId }) => jobId));
  for (const id of rows.byJob.keys()) if (!known.has(id)) states.push(`job ${id} is in audit.jobs, and there is none`);
  return { states, missing, copies };
}

function stateOf(row: JobRow | undefined): string {
  if (row === undefined || row.log_state === "pending" || row.log_state === "failed") return "missing";
  return row.log_state === "archived" ? `archived ${row.log_sha256}` : `${row.log_state} ${row.log_reason}`;
}

function wantedOf(expected: NonNullable<JobSummary["expected"]>): string {
  return expected.state === "archived" ? `archived ${expected.rawSha256}` : `${expected.state} ${expected.reason}`;
}

// A wrong answer may hide that a job is a copy. Then its log is archived, with the bytes of its original.
function originalOf({ jobId, runId, expected }: JobSummary, found: string, jobs: readonly JobSummary[]): JobSummary | undefined {
  if (expected?.state !== "absent" || expected.reason !== "copied") return undefined;
  return jobs.find(
    (other) => other.runId === runId && other.jobId !== jobId && other.expected && wantedOf(other.expected) === found,
  );
}

function checkMissing({ coverage, report }: Case, item: Item, gap: GapRow | undefined): string[] {
  const { label, createdAtMs } = item;
  const day = coverage.find(
    ({ window_start, window_end }) => createdAtMs >= window_start.getTime() && createdAtMs < window_end.getTime(),
  );
  return [
    ...(gap === undefined ? [`${label} is missing, and no gap names it`] : []),
    ...(day?.complete === true ? [`${label} is missing, and audit.coverage calls its day complete`] : []),
    ...(report.complete && gap === undefined ? [`${label} is missing, and the pass is complete`] : []),
    ...(report.complete && gap !== undefined && !isRunInProgress(gap)
      ? [`${label} is missing as ${gap.kind} ${gap.reason}, and the pass is complete`]
      : []),
  ];
}

// GitHub reports it as in progress and nothing contradicts that. Such a run is listed and leaves the pass complete.
function isRunInProgress({ kind, reason }: GapRow): boolean {
  return kind === "run_open" && (reason === "in_progress" || reason === "queued");
}

function names(gap: GapRow, { runId, attempt, jobId, createdAtMs }: Item): boolean {
  if (gap.kind === "not_sealed") return false;
  if (gap.job_id !== null) return gap.job_id === jobId;
  if (gap.run_id !== null) return gap.run_id === runId && (gap.run_attempt === null || gap.run_attempt === attempt);
  // The repository is unreadable, and the gap names it as configured. There is only one.
  if (gap.repository_id === null) return gap.kind === "window_open";
  if (gap.kind === "object_unusable")
    return gap.window_start !== null && dayOf(gap.window_start.getTime()) === dayOf(createdAtMs);
  return createdAtMs >= (gap.window_start?.getTime() ?? -Infinity) && createdAtMs < (gap.window_end?.getTime() ?? Infinity);
}

function dayOf(ms: number): number {
  return Math.floor(ms / 86_400_000);
}
