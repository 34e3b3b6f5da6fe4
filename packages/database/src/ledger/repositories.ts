// Repositories of the ledger: which are archived, when each is due, and which process has its lease.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";

export type RepositorySnapshot = { repository_id: number; full_name: string; is_private: boolean | null };

export type LedgerRepository = {
  repository_id: number;
  full_name: string;
  log_retention_days: number | null;
  youngest_gone_seconds: number | null;
  archive_since: Date | null;
  rescanned_at: Date | null;
  problem: string | null;
  runs_etag: string | null;
  runs_etag_credential: string | null;
  /** Credential whose budget its last poll used. */
  credential: string | null;
};

const columns = [
  "repository_id",
  "full_name",
  "log_retention_days",
  "youngest_gone_seconds",
  "archive_since",
  "rescanned_at",
  "problem",
  "runs_etag",
  "runs_etag_credential",
  "credential",
] as const;

/** Selects exactly `snapshots` for archiving, and unselects all others. Idempotent. */
export async function selectRepositories(db: Database, snapshots: readonly RepositorySnapshot[]): Promise<void> {
  const isSameName = sql`repositories.full_name = excluded.full_name`;
  const namedAt = sql<Date | null>`case when ${isSameName} then repositories.named_at else now() end`;
  const nameSeenAt = sql<Date | null>`case when ${isSameName} then repositories.name_seen_at else now() end`;
  await db.transaction().execute(async (trx) => {
    for (const { repository_id, full_name, is_private } of snapshots.toSorted((a, b) => a.repository_id - b.repository_id)) {
      await trx
        .insertInto("archive.repositories")
        .values({ repository_id, full_name, is_private, named_at: sql<Date>`now()` })
        .onConflict((conflict) =>
          conflict
            .column("repository_id")
            .doUpdateSet({ full_name, is_private, is_selected: true, named_at: namedAt, name_seen_at: nameSeenAt }),
        )
        .execute();
    }
    const ids = snapshots.map(({ repository_id }) => repository_id);
    await trx
      .updateTable("archive.repositories")
      .set({ is_selected: false })
      .where("is_selected", "=", true)
      .where(sql<boolean>`repository_id <> all(${sql.val(ids)}::bigint[])`)
      .execute();
  });
}

export async function listSelectedRepositories(db: Database): Promise<LedgerRepository[]> {
  return db.selectFrom("archive.repositories").select(columns).where("is_selected", "=", true).orderBy("repository_id").execute();
}

export async function findRepository(db: Database, repositoryId: number): Promise<LedgerRepository | undefined> {
  return db.selectFrom("archive.repositories").select(columns).where("repository_id", "=", repositoryId).executeTakeFirst();
}

/** Ids of selected repositories whose poll is due, longest due first. */
export async function listDueRepositories(db: Database, limit: number): Promise<number[]> {
  const rows = await db
    .selectFrom("archive.repositories")
    .select("repository_id")
    .where("is_selected", "=", true)
    .where("poll_due_at", "<=", sql<Date>`now()`)
    .orderBy("poll_due_at")
    .limit(limit)
    .execute();
  return rows.map(({ repository_id }) => repository_id);
}

/** @returns false if another holder has it. The lease expires by the database's clock. */
export async function acquireLease(db: Database, repositoryId: number, holder: string, seconds: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable("archive.repositories")
    .set({ lease_holder: holder, leased_until: sql<Date>`now() + make_interval(secs => ${seconds})` })
    .where("repository_id", "=", repositoryId)
    .where((eb) =>
      eb.or([eb("leased_until", "is", null), eb("leased_until", "<=", sql<Date>`now()`), eb("lease_holder", "=", holder)]),
    )
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

export async function releaseLease(db: Database, repositoryId: number, holder: string): Promise<void> {
  await db
    .updateTable("archive.repositories")
    .set({ lease_holder: null, leased_until: null })
    .where("repository_id", "=", repositoryId)
    .where("lease_holder", "=", holder)
    .execute();
}

export type PollOutcome = {
  nextPollSeconds: number;
  rescannedAt?: Date | undefined;
  archiveSince?: Date | undefined;
  /** ETag of the first page of the run list, and its credential. Unchanged if undefined. */
  runsEtag?: { readonly etag: string; readonly credential: string } | undefined;
  /** Why the listing failed; null if it did not. */
  problem: string | null;
};

/** Records the result of a poll and when the next one is due. */
export async function finishPoll(db: Database, repositoryId: number, outcome: PollOutcome): Promise<void> {
  await db
    .updateTable("archive.repositories")
    .set({
      polled_at: sql<Date>`now()`,
      poll_due_at: sql<Date>`now() + make_interval(secs => ${outcome.nextPollSeconds})`,
      problem: outcome.problem,
      problem_since: outcome.problem === null ? null : sql<Date>`coalesce(problem_since, now())`,
      ...(outcome.runsEtag ? { runs_etag: outcome.runsEtag.etag, runs_etag_credential: outcome.runsEtag.credential } : {}),
      ...(outcome.rescannedAt ? { rescanned_at: outcome.rescannedAt } : {}),
      ...(outcome.archiveSince ? { archive_since: sql<Date>`least(archive_since, ${outcome.archiveSince})` } : {}),
    })
    .where("repository_id", "=", repositoryId)
    .execute();
}

/** Records the new name after a rename or transfer. Idempotent. */
export async function renameRepository(db: Database, repositoryId: number, fullName: string): Promise<void> {
  await db
    .updateTable("archive.repositories")
    .set({ full_name: fullName, named_at: sql<Date>`now()`, name_seen_at: sql<Date>`now()` })
    .where("repository_id", "=", repositoryId)
    .execute();
}

/**
 * Records how many days GitHub keeps logs of the repository, as its retention endpoint returns. The expiry of pending and failed logs
 * follows it. Logs that are expired under a shorter retention, and would not be under this one, are rechecked. Idempotent.
 */
export async function recordLogRetention(db: Database, repositoryId: number, days: number): Promise<void> {
  const expiry = sql<Date>`completed_at + make_interval(days => ${days}::integer)`;
  await transact(db, async (trx) => {
    await trx
      .updateTable("archive.repositories")
      .set({ log_retention_days: days })
      .where("repository_id", "=", repositoryId)
      .execute();
    await trx
      .updateTable("archive.log_jobs")
      .set({ expires_at: expiry })
      .where("repository_id", "=", repositoryId)
      .where("log_state", "in", ["pending", "failed"])
      .where("completed_at", "is not", null)
      .execute();
    await trx
      .updateTable("archive.log_jobs")
      .set({ expires_at: expiry, recheck_at: sql<Date>`now()` })
      .where("repository_id", "=", repositoryId)
      .where("log_state", "=", "absent")
      .where("log_reason", "=", "expired")
      .where(expiry, ">", sql<Date>`now()`)
      .execute();
  });
}

/** Records whose budget pays for it: the feeder skips paused credentials. Idempotent. */
export async function recordCredential(db: Database, repositoryId: number, credential: string): Promise<void> {
  await db.updateTable("archive.repositories").set({ credential }).where("repository_id", "=", repositoryId).execute();
}

/**
 * Records a log whose 410 was confirmed, with its age. The repository's retention is the youngest age that two different jobs confirm,
 * so a single odd job changes nothing. Idempotent.
 */
export async function recordGoneLog(
  db: Database,
  repositoryId: number,
  { jobId, ageSeconds }: { readonly jobId: number; readonly ageSeconds: number },
): Promise<void> {
  const age = sql<number>`${ageSeconds}::bigint`;
  const isOtherJob = sql<boolean>`gone_job_id is not null and gone_job_id <> ${jobId}::bigint`;
  const isYounger = sql<boolean>`gone_seconds is null or gone_seconds > ${age}`;
  await db
    .updateTable("archive.repositories")
    .set({
      youngest_gone_seconds: sql<number | null>`case
        when ${isOtherJob} then least(youngest_gone_seconds, greatest(gone_seconds, ${age}))
        else youngest_gone_seconds
      end`,
      gone_seconds: sql<number>`least(gone_seconds, ${age})`,
      gone_job_id: sql<number>`case when ${isYounger} then ${jobId}::bigint else gone_job_id end`,
    })
    .where("repository_id", "=", repositoryId)
    .execute();
}

export type UnreadableRepository = { name: string; problem: string };

/** Replaces the list of configured names that GitHub does not know. Idempotent. */
export async function recordUnreadableRepositories(db: Database, unreadable: readonly UnreadableRepository[]): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const names = unreadable.map(({ name }) => name);
    await trx
      .deleteFrom("archive.unreadable_repositories")
      .where(sql<boolean>`name <> all(${sql.val(names)}::text[])`)
      .execute();
    for (const { name, problem } of unreadable) {
      await trx
        .insertInto("archive.unreadable_repositories")
        .values({ name, problem })
        .onConflict((conflict) => conflict.column("name").doUpdateSet({ problem }))
        .execute();
    }
  });
}

export async function listUnreadableRepositories(db: Database): Promise<UnreadableRepository[]> {
  return db.selectFrom("archive.unreadable_repositories").select(["name", "problem"]).orderBy("name").execute();
}
