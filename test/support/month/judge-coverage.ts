// Row by row: which days audit.coverage must show, with which counts, and whether each is complete; and that audit.gaps names
// what is open or lost, and nothing else.

import type { Repository, Run } from "@actions-archive/github-simulator/world/model";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";

import type { Judged, JobRow } from "./judge-month.ts";
import type { AttemptState } from "./month-truth.ts";

const dayMs = 86_400_000;

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

type Found = { readonly rows: readonly JobRow[]; readonly states: ReadonlyMap<number, readonly AttemptState[]> };

export async function judgeCoverage(
  { simulator, client, since }: Judged,
  { rows, states }: Found,
): Promise<{ wrong: string[]; days: number; completeDays: number }> {
  const { rows: covered } = await client.query<CoverageRow>("select * from audit.coverage order by repository_id, window_start");
  const byRepository = Map.groupBy(covered, ({ repository_id }) => repository_id);
  const jobsOf = Map.groupBy(rows, ({ run_id }) => run_id);
  const wrong: string[] = [];
  for (const repository of simulator.world.repositories) {
    const days = byRepository.get(repository.id) ?? [];
    byRepository.delete(repository.id);
    wrong.push(...judgeSpan(repository, days, { from: since, to: new Date(simulator.clock.nowMs()) }));
    // Runs of a repository by the day of their creation, those alone that somebody was shown.
    const shown = repository.runs.filter(({ id }) => states.has(id));
    const runsOf = Map.groupBy(shown, ({ createdAtMs }) => Math.floor(createdAtMs / dayMs));
    for (const day of days) {
      const runs = runsOf.get(Math.floor(day.window_start.getTime() / dayMs)) ?? [];
      wrong.push(...judgeDay(day, wantedOf(runs, { jobsOf, states })));
    }
  }
  for (const id of byRepository.keys()) wrong.push(`audit.coverage has a repository ${id} that there is not`);
  wrong.push(...(await judgeGaps(client, states)));
  return { wrong, days: covered.length, completeDays: covered.filter(({ complete }) => complete).length };
}

// A row a day, without a hole, from the start to the last look.
function judgeSpan(repository: Repository, days: readonly CoverageRow[], { from, to }: { from: Date; to: Date }): string[] {
  const wrong: string[] = [];
  const name = fullNameOf(repository);
  let until = from.getTime();
  for (const { repository: shown, window_start, window_end } of days) {
    if (shown !== name) wrong.push(`audit.coverage calls ${name} ${shown}`);
    if (window_start.getTime() !== until)
      wrong.push(`${name}: a hole from ${new Date(until).toISOString()} to ${window_start.toISOString()}`);
    until = window_end.getTime();
    const isCut = until % dayMs === 0 || window_end === days.at(-1)?.window_end;
    if (!isCut || window_start.getTime() + dayMs < until) wrong.push(`${name}: a row until ${window_end.toISOString()}`);
  }
  // The last look is minutes old, and leaves out the two before it.
  if (until > to.getTime() || until < to.getTime() - 3_600_000)
    wrong.push(`${name} is covered until ${new Date(until).toISOString()}, not ${to.toISOString()}`);
  return wrong;
}

type Counts = Omit<CoverageRow, "repository_id" | "repository" | "window_start" | "window_end">;

function wantedOf(
  runs: readonly Run[],
  { jobsOf, states }: { jobsOf: ReadonlyMap<number, readonly JobRow[]>; states: Found["states"] },
): Counts {
  // The truth of each job and attempt is judged elsewhere: here, whether the view counts them as they are.
  const jobs = runs.flatMap(({ id }) => jobsOf.get(id) ?? []);
  const attempts = runs.flatMap(({ id }) => states.get(id) ?? []);
  const count = (state: string) => jobs.filter(({ log_state }) => log_state === state).length;
  return {
    runs_found: runs.length,
    attempts_found: attempts.length,
    jobs_found: jobs.length,
    jobs_loaded: jobs.length,
    logs_archived: count("archived"),
    logs_absent: count("absent"),
    logs_pending: 0,
    logs_failed: 0,
    complete: attempts.every((state) => state === "listed"),
  };
}

function judgeDay(day: CoverageRow, wanted: Counts): string[] {
  const { repository, window_start } = day;
  // `wanted` has the columns of the row that are compared.
  const columns = Object.keys(wanted) as (keyof Counts)[];
  const different = columns.filter((column) => day[column] !== wanted[column]);
  return different.map(
    (column) => `${repository} on ${window_start.toISOString().slice(0, 10)}: ${column} is ${day[column]}, not ${wanted[column]}`,
  );
}

async function judgeGaps(client: Judged["client"], states: Found["states"]): Promise<string[]> {
  const { rows } = await client.query<{ kind: string; gaps: number }>(
    "select kind, count(*)::int as gaps from audit.gaps where reason is distinct from 'overdue' group by kind",
  );
  const all = [...states.values()].flat();
  const count = (state: AttemptState) => all.filter((each) => each === state).length;
  const wanted: Record<string, number> = {
    run_open: count("open"),
    attempt_gone: count("gone"),
    never_completed: count("never_completed"),
    not_sealed: 1,
  };
  const found = Object.fromEntries(rows.map(({ kind, gaps }) => [kind, gaps]));
  return [...new Set([...Object.keys(wanted), ...Object.keys(found)])]
    .filter((kind) => (wanted[kind] ?? 0) !== (found[kind] ?? 0))
    .map((kind) => `audit.gaps: ${found[kind] ?? 0} of ${kind}, not ${wanted[kind] ?? 0}`);
}
