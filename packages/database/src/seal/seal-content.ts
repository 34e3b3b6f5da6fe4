// Selects the content of the next seal: objects, the ledger's change, tombstones, holds, policies, damages, removals, retries and
// backfill steps.

import { sql } from "kysely";

import { type Actor, actorColumns, databaseUser } from "../connection/actor.ts";
import type { Database } from "../connection/open-database.ts";
import type { StoredObject } from "../ledger/objects.ts";

/** As in the seal, but its times are the database's, and become text there. */
export type SealContent = {
  readonly sequence: number;
  /** By the database's clock. */
  readonly sealed_at: Date;
  /** Login of the connection that prepares the seal. */
  readonly database_user: string;
  readonly entries: readonly StoredObject[];
  readonly windows: readonly { repository_id: number; repository: string; window_start: Date; window_end: Date }[];
  readonly windows_left_out: number;
  readonly attempts: readonly {
    repository_id: number;
    repository: string;
    run_id: number;
    run_attempt: number;
    run_created_at: Date;
    state: "open" | "listed" | "gone" | "never_completed";
  }[];
  readonly attempts_left_out: number;
  readonly full_seconds: readonly { repository_id: number; second_start: Date }[];
  readonly full_seconds_left_out: number;
  readonly open_obligations: { readonly pending: number; readonly failed: number };
  readonly gaps: Readonly<Record<string, number>>;
  readonly tombstones: readonly (Actor & {
    key: string;
    version_id: string | null;
    size: number;
    sha256: string;
    job_id: number;
    repository_id: number;
    cause: "erase" | "retention";
    reason: string;
    decided_at: Date;
  })[];
  readonly holds: readonly (Actor & { job_id: number; is_held: boolean; reason: string | null; changed_at: Date })[];
  readonly policies: readonly (Actor & { name: string; keep_days: number | null; changed_at: Date; reason: string | null })[];
  readonly retries: readonly (Actor & {
    job_id: number;
    repository_id: number;
    failed_for: string | null;
    retried_at: Date;
    reason: string | null;
  })[];
  readonly backfills: readonly (Actor & {
    backfill_id: number;
    step: "begin" | "pause" | "resume" | "cancel";
    asked_for: string[];
    repository_ids: number[];
    since: Date;
    until: Date;
    taken_at: Date;
    reason: string | null;
  })[];
  readonly removals: readonly {
    runs_before: Date;
    removed_at: Date;
    runs: number;
    jobs: number;
    closed_gaps: number;
    database_user: string | null;
  }[];
  readonly damages: readonly { key: string; finding: "missing" | "damaged"; found_at: Date; repaired_by: string | null }[];
};

/** Maximum length of each list of a seal, except its entries: some 2 MB. The rest is in the next seal. */
export const maxListItems = 10_000;

/**
 * Takes everything unsealed, and stamps it with `sequence`; it never selects by time. Uncommitted rows of others wait for the next
 * seal. Call it in the transaction that writes the seal.
 */
export async function selectSealContent(trx: Database, sequence: number, maxSealEntries: number): Promise<SealContent> {
  const clock = await sql<{ sealed_at: Date; database_user: string }>`
    select now() as sealed_at, ${databaseUser} as database_user
  `.execute(trx);
  const [prepared] = clock.rows;
  if (prepared === undefined) throw new TypeError("A select without from gives one row.");
  const entries = await stamp<StoredObject>(trx, sequence, {
    table: "archive.objects",
    key: ["object_key"],
    order: "recorded_at",
    most: maxSealEntries,
    returning: sql`object_key as key, version_id, size_bytes as size, sha256`,
  });
  const tombstones = await stamp<SealContent["tombstones"][number]>(trx, sequence, {
    table: "archive.tombstones",
    key: ["object_key"],
    returning: sql`object_key as key, version_id, size_bytes as size, sha256, job_id, repository_id, cause, reason, decided_at, ${actorColumns}`,
  });
  const holds = await stamp<SealContent["holds"][number]>(trx, sequence, {
    table: "archive.holds",
    key: ["hold_id"],
    returning: sql`job_id, is_held, reason, changed_at, ${actorColumns}`,
  });
  const policies = await stamp<SealContent["policies"][number]>(trx, sequence, {
    table: "archive.retention_policies",
    key: ["policy_id"],
    returning: sql`name, keep_days, changed_at, reason, ${actorColumns}`,
  });
  const damages = await stamp<SealContent["damages"][number]>(trx, sequence, {
    table: "archive.damages",
    key: ["object_key"],
    returning: sql`object_key as key, finding, found_at, repaired_by`,
  });
  const removals = await stamp<SealContent["removals"][number]>(trx, sequence, {
    table: "archive.removals",
    key: ["runs_before"],
    returning: sql`runs_before, removed_at, runs, jobs, closed_gaps, database_user`,
  });
  return {
    sequence,
    ...prepared,
    entries,
    tombstones,
    holds,
    policies,
    damages,
    removals,
    ...(await pickActs(trx, sequence)),
    ...(await pickLedgerChange(trx, sequence)),
    ...(await countOpen(trx)),
  };
}

async function pickActs(trx: Database, sequence: number): Promise<Pick<SealContent, "retries" | "backfills">> {
  const retries = await stamp<SealContent["retries"][number]>(trx, sequence, {
    table: "archive.retries",
    key: ["retry_id"],
    returning: sql`job_id, repository_id, failed_for, retried_at, reason, ${actorColumns}`,
  });
  const backfills = await stamp<SealContent["backfills"][number]>(trx, sequence, {
    table: "archive.backfill_steps",
    key: ["step_id"],
    // The driver does not parse arrays of bigint.
    returning: sql`backfill_id, step, asked_for, to_json(repository_ids) as repository_ids, since, until, taken_at, reason, ${actorColumns}`,
  });
  return { retries, backfills };
}

// A window states that all its runs are known, so it is sealed with the attempts of these runs, or waits: otherwise a rebuild from
// seals would never request an open attempt. Windows are selected first: the attempts of visible windows are committed.
async function pickLedgerChange(trx: Database, sequence: number) {
  const fullName = sql`(select full_name from archive.repositories where repositories.repository_id = stamped.repository_id) as repository`;
  const windows = await stamp<SealContent["windows"][number]>(trx, sequence, {
    table: "archive.windows",
    key: ["repository_id", "window_start"],
    returning: sql`repository_id, ${fullName}, window_start, window_end`,
  });
  const waitingWindows = await countUnsealed(trx, "archive.windows");
  const picked = await stamp<SealContent["attempts"][number] & { waiting: number }>(trx, sequence, {
    table: "archive.attempts",
    key: ["run_id", "run_attempt"],
    returning: sql`
      repository_id, ${fullName}, run_id, run_attempt,
      (select created_at from archive.runs where runs.run_id = stamped.run_id) as run_created_at, state,
      (select count(*) from archive.attempts where sealed_in is null) as waiting`,
  });
  const attempts = picked.map(({ waiting: _waiting, ...attempt }) => attempt);
  const attempts_left_out = (picked[0]?.waiting ?? (await countUnsealed(trx, "archive.attempts"))) - attempts.length;
  if (attempts_left_out === 0 || windows.length === 0)
    return { windows, windows_left_out: waitingWindows, attempts, attempts_left_out };
  await trx.updateTable("archive.windows").set({ sealed_in: null }).where("sealed_in", "=", sequence).execute();
  return { windows: [], windows_left_out: waitingWindows + windows.length, attempts, attempts_left_out };
}

async function countUnsealed(trx: Database, table: "archive.windows" | "archive.attempts"): Promise<number> {
  const { rows } = await sql<{ waiting: number }>`
    select count(*) as waiting from ${sql.table(table)} where sealed_in is null`.execute(trx);
  return rows[0]?.waiting ?? 0;
}

type Stamped = {
  readonly table: string;
  readonly key: readonly string[];
  /** The key by default. */
  readonly order?: string;
  readonly most?: number;
  readonly returning: ReturnType<typeof sql>;
};

// Locked rows are skipped and wait for the next seal. In the order of their keys.
async function stamp<Row>(trx: Database, sequence: number, { table, key, order, most, returning }: Stamped): Promise<Row[]> {
  const columns = sql.join(key.map((column) => sql.ref(column)));
  const { rows } = await sql<Row>`
    with picked as (
      select ${columns} from ${sql.table(table)}
      where sealed_in is null
      order by ${order === undefined ? columns : sql.ref(order)}
      limit ${most ?? maxListItems}
      for no key update skip locked
    ),
    stamped as (
      update ${sql.table(table)} as stamped set sealed_in = ${sequence}::bigint
      from picked
      where ${sql.join(
        key.map((column) => sql`stamped.${sql.ref(column)} = picked.${sql.ref(column)}`),
        sql` and `,
      )}
      returning stamped.*
    )
    select ${returning} from stamped order by ${columns}
  `.execute(trx);
  return rows;
}

async function countOpen(trx: Database) {
  const { rows } = await sql<{
    full_seconds: { repository_id: number; second_start: string }[];
    full_seconds_left_out: number;
    open_obligations: { pending: number; failed: number };
    gaps: Record<string, number>;
  }>`
    select
      (select greatest(0, count(*) - ${maxListItems}) from archive.full_seconds) as full_seconds_left_out,
      (
        select coalesce(json_agg(json_build_object('repository_id', repository_id, 'second_start', second_start)), '[]')
        from (select repository_id, second_start from archive.full_seconds order by 1, 2 limit ${maxListItems}) as listed
      ) as full_seconds,
      (
        select json_build_object(
          'pending', count(*) filter (where log_state = 'pending'), 'failed', count(*) filter (where log_state = 'failed'))
        from archive.log_jobs where log_state in ('pending', 'failed')
      ) as open_obligations,
      (select coalesce(json_object_agg(kind, gaps), '{}') from (select kind, count(*) as gaps from audit.gaps group by kind) as by_kind) as gaps
  `.execute(trx);
  const [row] = rows;
  if (row === undefined) throw new TypeError("A select without from gives one row.");
  return {
    ...row,
    full_seconds: row.full_seconds.map(({ repository_id, second_start }) => ({
      repository_id,
      second_start: new Date(second_start),
    })),
  };
}
