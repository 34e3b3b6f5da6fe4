// Backfills: an operator's command creates and controls them, fetchers run them in slices of one repository.

import { type RawBuilder, sql } from "kysely";

import { actorOf, type Ascription } from "../connection/actor.ts";
import { type Database, transact } from "../connection/open-database.ts";
import type { Window } from "../ledger/windows.ts";

export type BackfillState = "running" | "paused" | "cancelled" | "done";

export type NewBackfill = {
  /** As the operator wrote them. */
  readonly askedFor: readonly string[];
  readonly since: Date;
  readonly until: Date;
  readonly repositories: readonly {
    readonly repository_id: number;
    readonly full_name: string;
    readonly is_private: boolean | null;
    readonly estimated_runs: number | null;
  }[];
};

/**
 * Creates a running backfill. Unknown repositories are added to the ledger; which repositories are polled does not change.
 * @returns its id.
 */
export async function createBackfill(
  db: Database,
  { askedFor, since, until, repositories }: NewBackfill,
  ascription: Ascription = {},
): Promise<number> {
  return transact(db, async (trx) => {
    const backfill_id = await insertBackfill(trx, { askedFor, since, until });
    for (const { repository_id, full_name, is_private, estimated_runs } of repositories) {
      await trx
        .insertInto("archive.repositories")
        .values({ repository_id, full_name, is_private, is_selected: false, named_at: sql<Date>`now()` })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      await trx
        .insertInto("archive.backfill_repositories")
        .values({ backfill_id, repository_id, listed_from: until, estimated_runs })
        .execute();
    }
    await recordStep(trx, { backfill_id, step: "begin" }, ascription);
    return backfill_id;
  });
}

// A rebuilt database has the steps of earlier backfills, whose numbers must not be reused.
async function insertBackfill(
  trx: Database,
  { askedFor, since, until }: Pick<NewBackfill, "askedFor" | "since" | "until">,
): Promise<number> {
  await sql`lock table archive.backfills in share row exclusive mode`.execute(trx);
  const { rows } = await sql<{ backfill_id: number }>`
    insert into archive.backfills (backfill_id, asked_for, since, until)
    overriding system value
    select
      1 + greatest(
        (select coalesce(max(backfill_id), 0) from archive.backfills),
        (select coalesce(max(backfill_id), 0) from archive.backfill_steps)
      ),
      ${sql.val(askedFor)}::text[], ${since}::timestamptz, ${until}::timestamptz
    returning backfill_id
  `.execute(trx);
  const [row] = rows;
  if (row === undefined) throw new TypeError("An insert of one row returns one row.");
  return row.backfill_id;
}

type RecordedStep = { readonly backfill_id: number; readonly step: BackfillStep | "begin" };

async function recordStep(trx: Database, { backfill_id, step }: RecordedStep, { by: named, reason = null }: Ascription) {
  const { by, os_user } = actorOf(named);
  await sql`
    insert into archive.backfill_steps (backfill_id, step, asked_for, repository_ids, since, until, by, os_user, reason)
    select
      backfill_id, ${step}, asked_for,
      array(
        select repository_id from archive.backfill_repositories as work
        where work.backfill_id = backfills.backfill_id order by repository_id
      ),
      since, until, ${by}::text, ${os_user}::text, ${reason}::text
    from archive.backfills
    where backfill_id = ${backfill_id}
  `.execute(trx);
}

/** An operator's action on a backfill, and the states in which it is possible. */
const steps = {
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused"], to: "running" },
  cancel: { from: ["running", "paused"], to: "cancelled" },
} as const;
export type BackfillStep = keyof typeof steps;

/**
 * Pauses, resumes or cancels a backfill, and records who did it. Idempotent: if the state is already the wanted one, nothing is
 * recorded.
 * @returns its state now; undefined if there is no such id. A state other than the wanted one means that it was too late.
 */
export async function changeBackfillState(
  db: Database,
  backfillId: number,
  step: BackfillStep,
  ascription: Ascription = {},
): Promise<BackfillState | undefined> {
  return transact(db, async (trx) => {
    await takeStep(trx, { backfill_id: backfillId, step }, ascription);
    const row = await trx
      .selectFrom("archive.backfills")
      .select("state")
      .where("backfill_id", "=", backfillId)
      .executeTakeFirst();
    // A check constraint restricts the column to these words.
    return row?.state as BackfillState | undefined;
  });
}

async function takeStep(
  trx: Database,
  { backfill_id: backfillId, step }: { readonly backfill_id: number; readonly step: BackfillStep },
  ascription: Ascription,
): Promise<void> {
  const { from, to } = steps[step];
  const { numUpdatedRows } = await trx
    .updateTable("archive.backfills")
    .set({ state: to, ...(to === "cancelled" ? { ended_at: sql<Date>`now()` } : {}) })
    .where("backfill_id", "=", backfillId)
    .where("state", "in", from)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows > 0n) await recordStep(trx, { backfill_id: backfillId, step }, ascription);
  if (step === "resume")
    await trx
      .updateTable("archive.backfill_repositories")
      .set({ due_at: sql<Date>`now()` })
      .where("backfill_id", "=", backfillId)
      .execute();
}

export type BackfillRef = { readonly backfill_id: number; readonly repository_id: number };

/** Due, unleased repositories of running backfills, longest due first; at most `atOnce` are leased by all fetchers together. */
export async function listDueBackfills(db: Database, atOnce: number): Promise<BackfillRef[]> {
  const { rows } = await sql<BackfillRef>`
    select backfill_id, repository_id
    from archive.backfill_repositories
    join archive.backfills using (backfill_id)
    where state = 'running' and done_at is null and due_at <= now() and (leased_until is null or leased_until <= now())
    order by due_at, backfill_id, repository_id
    limit greatest(0, ${atOnce}::integer - (select count(*) from archive.backfill_repositories where leased_until > now()))
  `.execute(db);
  return rows;
}

export type BackfillWork = BackfillRef & {
  full_name: string;
  credential: string | null;
  since: Date;
  until: Date;
  listed_from: Date;
};

/** @returns the slice's work, or undefined if it is leased by another fetcher, done, or no longer running. */
export async function leaseBackfillSlice(
  db: Database,
  { backfill_id, repository_id }: BackfillRef,
  holder: string,
  leaseSeconds: number,
): Promise<BackfillWork | undefined> {
  const { rows } = await sql<BackfillWork>`
    update archive.backfill_repositories as work
    set lease_holder = ${holder}, leased_until = now() + make_interval(secs => ${leaseSeconds})
    from archive.backfills, archive.repositories
    where work.backfill_id = ${backfill_id} and work.repository_id = ${repository_id}
      and backfills.backfill_id = work.backfill_id and repositories.repository_id = work.repository_id
      and state = 'running' and done_at is null
      and (work.leased_until is null or work.leased_until <= now() or work.lease_holder = ${holder})
    returning work.backfill_id, work.repository_id, full_name, credential, since, until, listed_from
  `.execute(db);
  return rows[0];
}

/** Runs created at or after this time are listed. It only moves back in time. Idempotent. */
export async function recordListedFrom(
  db: Database,
  { backfill_id, repository_id }: BackfillRef,
  listedFrom: Date,
): Promise<void> {
  await db
    .updateTable("archive.backfill_repositories")
    .set({ listed_from: sql<Date>`least(listed_from, ${listedFrom})` })
    .where("backfill_id", "=", backfill_id)
    .where("repository_id", "=", repository_id)
    .execute();
}

export type BackfillRemainder = {
  /** A completed or unchecked attempt still owes its jobs, and is not a gap of its own yet. */
  readonly isUnlisted: boolean;
  /** The log or the rows of a job are owed. */
  readonly isOwed: boolean;
};

/** Counts what the runs of a repository created in `window` still owe. */
export async function findBackfillRemainder(
  db: Database,
  repositoryId: number,
  { start, end }: Window,
): Promise<BackfillRemainder> {
  const inWindow = sql`runs.created_at >= ${start} and runs.created_at < ${end}`;
  const isOwedWhere = (condition: RawBuilder<unknown>) => sql`exists (
    select from archive.log_jobs join archive.runs using (run_id)
    where log_jobs.repository_id = ${repositoryId} and ${condition} and ${inWindow})`;
  const { rows } = await sql<BackfillRemainder>`
    select
      exists (
        select from archive.attempts join archive.runs using (run_id)
        where attempts.repository_id = ${repositoryId} and attempts.state = 'open' and ${inWindow}
          and (attempts.status = 'completed' or attempts.run_attempt < runs.run_attempt or check_reason is not null or attempts.checks = 0)
          and check_reason is distinct from 'settling' and incomplete_since is null
      ) as "isUnlisted",
      ${isOwedWhere(sql`log_state = 'pending'`)} or ${isOwedWhere(sql`rows_loaded_at is null`)} as "isOwed"
  `.execute(db);
  return rows[0] ?? { isUnlisted: false, isOwed: false };
}

export type BackfillSlice =
  | { readonly kind: "done" }
  /** All runs are listed; logs or rows are owed. Checked again in `seconds`. */
  | { readonly kind: "waiting"; readonly seconds: number }
  /** More work is due in `seconds` or later. `problem`: why it could not continue; null if it could. */
  | { readonly kind: "more"; readonly seconds: number; readonly problem: string | null };

/** Records the result of a slice, releases the lease, and ends the backfill with its last repository. */
export async function finishSlice(
  db: Database,
  { backfill_id, repository_id }: BackfillRef,
  holder: string,
  slice: BackfillSlice,
): Promise<void> {
  const problem = slice.kind === "more" ? slice.problem : null;
  await transact(db, async (trx) => {
    await trx
      .updateTable("archive.backfill_repositories")
      .set({
        lease_holder: null,
        leased_until: null,
        problem,
        problem_since: problem === null ? null : sql<Date>`coalesce(problem_since, now())`,
        ...(slice.kind === "done"
          ? { done_at: sql<Date>`now()` }
          : { due_at: sql<Date>`now() + make_interval(secs => ${slice.seconds})` }),
      })
      .where("backfill_id", "=", backfill_id)
      .where("repository_id", "=", repository_id)
      .where("lease_holder", "=", holder)
      .execute();
    if (slice.kind !== "done") return;
    // Two last repositories may end concurrently: the lock makes one of them see the other's end.
    await sql`select from archive.backfills where backfill_id = ${backfill_id} for no key update`.execute(trx);
    await sql`
      update archive.backfills set state = 'done', ended_at = now()
      where backfill_id = ${backfill_id} and state = 'running'
        and not exists (select from archive.backfill_repositories where backfill_id = ${backfill_id} and done_at is null)
    `.execute(trx);
  });
}
