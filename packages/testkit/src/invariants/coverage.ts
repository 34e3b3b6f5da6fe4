// Checks that every attempt has the right state, that audit.coverage has the right counts for each day and is complete exactly where the
// archive is, and that audit.gaps names exactly what is open or lost.

import { dayMs } from "@actions-archive/core/durations";
import type { Repository, Run } from "@actions-archive/github-simulator/world/model";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";

import type { CheckContext } from "./check-context.ts";
import { type AttemptState, statesOf } from "./oracle.ts";
import { query, type JobRow, type Rows } from "./rows.ts";
import { type Violation, violationsOf } from "./violation.ts";

type CoverageRow = {
  repository_id: number;
  repository: string;
  window_start: Date;
  window_end: Date;
  runs_found: number;
  attempts_found: number;
  jobs_found: number;
  jobs_loaded: number;
  logs_archived: number;
  logs_absent: number;
  logs_pending: number;
  logs_failed: number;
  complete: boolean;
};

/** I1 and I4, for attempts. */
export function checkAttempts({ evidence, rows }: CheckContext): Violation[] {
  const found: Violation[] = [];
  const { runs } = evidence.simulator.world;
  for (const run of runs.values()) {
    const wanted = statesOf(evidence, run);
    const states = rows.states.get(run.id);
    if (states === undefined && (wanted === undefined || (run.deleted && evidence.hadFaults))) continue;
    const isWhole = wanted?.length === states?.length || (run.deleted && evidence.hadFaults);
    if (isWhole && states?.every((state, index) => wanted?.[index]?.includes(state))) continue;
    const expected = wanted?.map((each) => each.join("|")).join(", ") ?? "nothing";
    const what = `run ${run.id}${run.deleted ? " (deleted)" : ""}: attempts ${states?.join(", ") ?? "none"}, expected ${expected}`;
    found.push({ invariant: wanted === undefined ? "I4" : "I1", what });
  }
  const unknown = [...rows.states.keys()].filter((id) => !runs.has(id));
  return [
    ...found,
    ...violationsOf(
      "I4",
      unknown.map((id) => `run ${id} is in the ledger, and the simulator has no such run`),
    ),
  ];
}

export type Coverage = { readonly days: number; readonly completeDays: number };

export async function checkCoverage(
  { evidence, rows }: CheckContext,
  since: Date,
): Promise<{ violations: Violation[]; coverage: Coverage }> {
  const { simulator, client } = evidence;
  const covered = await query<CoverageRow>(client, "select * from audit.coverage order by repository_id, window_start");
  const byRepository = Map.groupBy(covered, ({ repository_id }) => repository_id);
  const jobsOf = Map.groupBy(rows.jobs, ({ run_id }) => run_id);
  const wrong: string[] = [];
  for (const repository of simulator.world.repositories) {
    const days = byRepository.get(repository.id) ?? [];
    byRepository.delete(repository.id);
    wrong.push(...checkSpan(repository, days, { from: since, to: new Date(simulator.clock.nowMs()) }));
    // Runs of a repository by the day of their creation, except those that no client was shown.
    const shown = repository.runs.filter(({ id }) => rows.states.has(id));
    const runsOf = Map.groupBy(shown, ({ createdAtMs }) => Math.floor(createdAtMs / dayMs));
    for (const day of days) {
      // The last poll excludes runs that are younger than it.
      const end = day.window_end.getTime();
      const runs = (runsOf.get(Math.floor(day.window_start.getTime() / dayMs)) ?? []).filter(
        ({ createdAtMs }) => createdAtMs < end,
      );
      wrong.push(...checkDay(day, wantedOf(runs, { jobsOf, states: rows.states })));
    }
  }
  for (const id of byRepository.keys()) wrong.push(`audit.coverage has a repository ${id} that there is not`);
  wrong.push(...(await checkGaps({ evidence, rows })));
  return {
    violations: violationsOf("coverage", wrong),
    coverage: { days: covered.length, completeDays: covered.filter(({ complete }) => complete).length },
  };
}

// A row for each day without a gap, from the start to the last poll. A backfill may have begun before the start.
function checkSpan(repository: Repository, days: readonly CoverageRow[], { from, to }: { from: Date; to: Date }): string[] {
  const wrong: string[] = [];
  const name = fullNameOf(repository);
  let until = Math.min(from.getTime(), days[0]?.window_start.getTime() ?? Infinity);
  for (const { repository: shown, window_start, window_end } of days) {
    if (shown !== name) wrong.push(`audit.coverage calls ${name} ${shown}`);
    if (window_start.getTime() !== until)
      wrong.push(`${name}: a hole from ${new Date(until).toISOString()} to ${window_start.toISOString()}`);
    until = window_end.getTime();
    const isCut = until % dayMs === 0 || window_end === days.at(-1)?.window_end;
    if (!isCut || window_start.getTime() + dayMs < until) wrong.push(`${name}: a row until ${window_end.toISOString()}`);
  }
  // The last poll was minutes ago, and excludes its last two minutes.
  if (until > to.getTime() || until < to.getTime() - 3_600_000)
    wrong.push(`${name} is covered until ${new Date(until).toISOString()}, not ${to.toISOString()}`);
  return wrong;
}

type Counts = Omit<CoverageRow, "repository_id" | "repository" | "window_start" | "window_end">;

function wantedOf(
  runs: readonly Run[],
  { jobsOf, states }: { jobsOf: ReadonlyMap<number, readonly JobRow[]>; states: Rows["states"] },
): Counts {
  // Other checks cover the state of each job and attempt. This one checks the view's counts of them.
  const jobs = runs.flatMap(({ id }) => jobsOf.get(id) ?? []);
  const attempts = runs.flatMap(({ id }) => states.get(id) ?? []);
  const count = (state: string) => jobs.filter(({ log_state }) => log_state === state).length;
  const [logs_pending, logs_failed] = [count("pending"), count("failed")];
  return {
    runs_found: runs.length,
    attempts_found: attempts.length,
    jobs_found: jobs.length,
    jobs_loaded: jobs.length,
    logs_archived: count("archived"),
    logs_absent: count("absent"),
    logs_pending,
    logs_failed,
    complete: attempts.every((state) => state === "listed") && logs_pending + logs_failed === 0,
  };
}

function checkDay(day: CoverageRow, wanted: Counts): string[] {
  const { repository, window_start } = day;
  // `wanted` has those columns of the row that are compared.
  const columns = Object.keys(wanted) as (keyof Counts)[];
  const different = columns.filter((column) => day[column] !== wanted[column]);
  return different.map(
    (column) => `${repository} on ${window_start.toISOString().slice(0, 10)}: ${column} is ${day[column]}, not ${wanted[column]}`,
  );
}

async function checkGaps({ evidence: { client }, rows }: Pick<CheckContext, "evidence" | "rows">): Promise<string[]> {
  const gaps = await query<{ kind: string; gaps: number }>(
    client,
    `select case when kind = 'list_incomplete' and run_id is not null then 'run_open' else kind end as kind, count(*)::int as gaps
    from audit.gaps where reason is distinct from 'overdue' group by 1`,
  );
  const [sealing] = await query<{ has_key: boolean }>(client, "select exists (select from archive.sealing) as has_key");
  const all = [...rows.states.values()].flat();
  const attempts = (state: AttemptState) => all.filter((each) => each === state).length;
  const logs = (state: string) => rows.jobs.filter(({ log_state }) => log_state === state).length;
  const wanted: Record<string, number> = {
    run_open: attempts("open"),
    attempt_gone: attempts("gone"),
    never_completed: attempts("never_completed"),
    log_pending: logs("pending"),
    log_failed: logs("failed"),
    not_sealed: sealing?.has_key === true ? 0 : 1,
  };
  const found = Object.fromEntries(gaps.map(({ kind, gaps: count }) => [kind, count]));
  return [...new Set([...Object.keys(wanted), ...Object.keys(found)])]
    .filter((kind) => (wanted[kind] ?? 0) !== (found[kind] ?? 0))
    .map((kind) => `audit.gaps: ${found[kind] ?? 0} of ${kind}, not ${wanted[kind] ?? 0}`);
}
