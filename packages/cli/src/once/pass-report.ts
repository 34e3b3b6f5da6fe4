// How a pass ended: complete, or a list of what is not.
import type { Database } from "@actions-archive/database/open-database";
import { listUnreadableRepositories, type UnreadableRepository } from "@actions-archive/database/repositories";
import {
  countByReason,
  countWork,
  listOwedLogs,
  listProblems,
  listUnlistedAttempts,
  type OwedLog,
  type Problem,
  type ReasonCount,
  type UnlistedAttempt,
  type WorkCounts,
} from "@actions-archive/database/summary";
import { listFullSeconds } from "@actions-archive/database/windows";

import { formatTable } from "../format-table.ts";

export type PassReport = {
  readonly complete: boolean;
  readonly counts: WorkCounts;
  readonly logs: readonly ReasonCount[];
  /** Pending and failed logs. */
  readonly owed: readonly OwedLog[];
  /** Repositories that could not be listed, or found. */
  readonly problems: readonly Problem[];
  readonly full_seconds: readonly { readonly repository_id: number; readonly second_start: Date }[];
  /** Runs in progress, and closed gaps: neither makes a pass incomplete. */
  readonly unlisted_attempts: readonly UnlistedAttempt[];
};

const longestList = 1_000;
const longestPrinted = 20;

export async function makePassReport(db: Database): Promise<PassReport> {
  const counts = await countWork(db);
  const unreadable = await listUnreadableRepositories(db);
  const problems = [
    ...unreadable.map(({ name, problem }: UnreadableRepository) => ({ repository: name, problem })),
    ...(await listProblems(db)),
  ];
  const full_seconds = await listFullSeconds(db);
  const owed = counts.pending + counts.failed + counts.unloadedJobs + counts.unrecordedAttempts + counts.laggingAttempts;
  return {
    complete: owed === 0 && problems.length === 0 && full_seconds.length === 0,
    counts,
    logs: await countByReason(db),
    owed: await listOwedLogs(db, longestList),
    problems,
    full_seconds,
    unlisted_attempts: await listUnlistedAttempts(db, longestList),
  };
}

/** The report for people. */
export function formatPassReport(report: PassReport): string {
  const { counts, owed, problems, full_seconds, unlisted_attempts } = report;
  const lines = [
    `${counts.jobs} jobs: ${counts.archived} logs archived, ${counts.absent} absent, ${counts.failed} failed, ${counts.pending} pending.`,
    ...problems.map(({ repository, problem }) => `Not listed: ${repository}: ${problem}`),
    ...full_seconds.map(
      ({ repository_id, second_start }) =>
        `Not covered: repository ${repository_id} has 1,000 runs in the second ${second_start.toISOString()}; GitHub shows no more`,
    ),
  ];
  if (owed.length > 0) {
    lines.push(
      "",
      `Logs that are owed${owed.length > longestPrinted ? ` (${longestPrinted} of ${counts.pending + counts.failed}; --json lists more)` : ""}:`,
    );
    lines.push(
      formatTable(
        owed
          .slice(0, longestPrinted)
          .map(({ repository, job_id, log_state, reason, detail }) => ({ repository, job_id, state: log_state, reason, detail })),
      ),
    );
  }
  const count = (state: string) => unlisted_attempts.filter((attempt) => attempt.state === state).length;
  if (count("open") > 0) lines.push(`${count("open")} attempts are still in progress; a later pass takes them.`);
  if (count("gone") + count("never_completed") > 0)
    lines.push(
      `${count("gone")} attempts were deleted before their jobs were listed, ${count("never_completed")} never completed.`,
    );
  if (counts.unloadedJobs + counts.unrecordedAttempts + counts.laggingAttempts > 0) {
    lines.push(
      `Still owed: rows of ${counts.unloadedJobs} jobs, ${counts.unrecordedAttempts} run records, jobs of ${counts.laggingAttempts} attempts.`,
    );
  }
  lines.push(report.complete ? "Complete." : "Not complete.");
  return lines.join("\n");
}
