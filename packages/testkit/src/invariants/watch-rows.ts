// Triggers that record each illegal update of a row, in their own schema of the test's database.

import type { Client } from "pg";

import { query } from "./rows.ts";
import { type Violation, violationsOf } from "./violation.ts";

type Watch = {
  /** Columns that identify a row in messages. */
  readonly id: string;
  /** Columns that never change once they have a value. */
  readonly fixed?: readonly string[];
  /** Columns that never become null again. */
  readonly kept: readonly string[];
  /** Further conditions on `old` and `new`, each with its message. */
  readonly never: readonly (readonly [condition: string, what: string])[];
};

const attempts = [
  ["new.run_attempt > old.run_attempt", "run_attempt grew"],
  ["new.last_listed_attempt < old.last_listed_attempt", "last_listed_attempt fell"],
] as const;
// A terminal state is final; but archived outranks absent, and a removal ends archived.
const logStates = [
  ["old.log_state in ('archived', 'absent') and new.log_state in ('pending', 'failed')", "a terminal log is owed again"],
  [
    "old.log_state = 'archived' and new.log_state = 'absent' and new.log_reason is distinct from 'removed'",
    "an archived log is absent",
  ],
] as const;
const notCompleted = [
  ["old.status = 'completed' and new.status is distinct from 'completed'", "status fell from completed"],
] as const;

const watches: Readonly<Record<string, Watch>> = {
  log_jobs: {
    id: "job_id",
    fixed: ["job_id", "repository_id", "run_id", "first_seen_at"],
    kept: ["job_name", "runner_name", "conclusion", "started_at", "completed_at", "record_key"],
    never: [...attempts, ...logStates, ["new.object_steps < old.object_steps", "a fuller object was replaced"]],
  },
  jobs: {
    id: "job_id",
    fixed: ["job_id", "repository_id", "run_id"],
    kept: `workflow_name job_name head_branch head_sha conclusion runner_id runner_name runner_group_id runner_group_name html_url created_at
      started_at completed_at`.split(/\s+/),
    never: [...attempts, ...notCompleted],
  },
  logs: {
    id: "job_id",
    fixed: ["job_id"],
    kept: [],
    never: [
      ...logStates,
      [
        "new.record_version < old.record_version and not (old.log_state = 'absent' and new.log_state = 'archived')",
        "an older record is in force",
      ],
      ["old.raw_sha256 <> new.raw_sha256 and not 'changed_since' = any (new.log_flags)", "the hash changed"],
    ],
  },
  runs: {
    id: "run_id",
    fixed: ["run_id", "repository_id", "created_at"],
    kept: ["run_number", "workflow_id", "workflow_name", "path", "event", "actor", "head_branch", "head_sha", "run_started_at"],
    never: [
      ["new.run_attempt < old.run_attempt", "run_attempt fell"],
      [
        "new.run_attempt = old.run_attempt and old.status = 'completed' and new.status is distinct from 'completed'",
        "status fell",
      ],
      ["new.run_attempt = old.run_attempt and new.updated_at < old.updated_at", "updated_at fell"],
    ],
  },
  attempts: {
    id: "run_id || '/' || run_attempt",
    fixed: ["run_id", "run_attempt", "repository_id"],
    kept: ["object", "record_key", "listed_at", "listed_jobs", "status", "conclusion"],
    // A new snapshot of the run reopens it.
    never: [
      ...notCompleted,
      ["old.state <> 'open' and new.state not in (old.state, 'open')", "a closed attempt changed its state"],
    ],
  },
};

/** Starts watching, or resumes after `stopWatchingRows`. Call it as the owner of the tables, before anything works on the database. */
export async function watchRows(client: Client): Promise<void> {
  await client.query(`
    create schema if not exists invariants;
    create table if not exists invariants.steps_back (recorded_at timestamptz not null default clock_timestamp(), relation text not null, id text, what text not null);
  `);
  for (const [relation, watch] of Object.entries(watches)) await client.query(triggerOf(relation, watch));
  await client.query(windowTrigger);
}

// Owned by the tables' owner, since a worker's role may not write to another schema.
function functionOf(relation: string, body: string): string {
  return `
    create or replace function invariants.watch_${relation}() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
    begin
      ${body}
      return null;
    end
    $$;`;
}

function triggerOf(relation: string, { id, fixed = [], kept, never }: Watch): string {
  const conditions = [
    ...fixed.map((column) => [`old.${column} is distinct from new.${column}`, `${column} changed`] as const),
    ...kept.map((column) => [`old.${column} is not null and new.${column} is null`, `${column} became null`] as const),
    ...never,
  ];
  const idOf = `(select (${id})::text from (select old.*) as row)`;
  const note = (what: string) =>
    `insert into invariants.steps_back (relation, id, what) values ('${relation}', ${idOf}, '${what}');`;
  return `
    ${functionOf(
      relation,
      `if tg_op = 'DELETE' then ${note("deleted")} return null; end if;
      ${conditions.map(([condition, what]) => `if ${condition} then ${note(what)} end if;`).join("\n      ")}`,
    )}
    create trigger check_monotonic after update or delete on archive.${relation} for each row execute function invariants.watch_${relation}();`;
}

// A window is extended by inserting another row. At the end of the transaction everything that was covered must still be covered, except
// for seconds that turned out to be full, and deliberate removals.
const windowTrigger = `
  ${functionOf(
    "windows",
    `insert into invariants.steps_back (relation, id, what)
      select 'windows', old.repository_id::text, format('%s is covered no more', lost)
      from (
        select tstzmultirange(tstzrange(old.window_start, old.window_end))
          - coalesce((select range_agg(tstzrange(window_start, window_end)) from archive.windows where repository_id = old.repository_id), '{}')
          - coalesce((select range_agg(tstzrange(second_start, second_start + interval '1 second'))
            from archive.full_seconds where repository_id = old.repository_id), '{}')
          - coalesce((select range_agg(tstzrange(window_start, window_end))
            from archive.window_checks where repository_id = old.repository_id and reason = 'incomplete'), '{}')
          - coalesce((select tstzmultirange(tstzrange(null, max(runs_before))) from archive.removals having count(*) > 0), '{}') as lost
      ) as compared
      where not isempty(lost);`,
  )}
  create constraint trigger check_monotonic after update or delete on archive.windows
    deferrable initially deferred for each row execute function invariants.watch_windows();`;

/** @returns whether rows were watched. */
export async function wasWatched(client: Client): Promise<boolean> {
  const [row] = await query<{ is_there: boolean }>(client, "select to_regclass('invariants.steps_back') is not null as is_there");
  return row?.is_there === true;
}

/** I5: the updates that the triggers recorded. */
export async function checkUpdates(client: Client): Promise<Violation[]> {
  const rows = await query<{ relation: string; id: string; what: string; times: number }>(
    client,
    "select relation, id, what, count(*)::int as times from invariants.steps_back group by 1, 2, 3 order by min(recorded_at)",
  );
  return violationsOf(
    "I5",
    rows.map(({ relation, id, what, times }) => `archive.${relation} ${id}: ${what}${times > 1 ? `, ${times} times` : ""}`),
  );
}

/** Drops the triggers, which an archive does not have, and keeps what they recorded. Idempotent. */
export async function stopWatchingRows(client: Client): Promise<void> {
  for (const table of [...Object.keys(watches), "windows"])
    await client.query(`drop trigger if exists check_monotonic on archive.${table}`);
}
