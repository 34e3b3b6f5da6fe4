// A ledger written row by row: any state of runs, attempts and jobs, without the functions that lead to it.

import type { Database } from "../src/connection/open-database.ts";
import { claimIdentity } from "../src/ledger/identity.ts";
import { addRepository, jobObject } from "./samples.ts";

export type AttemptRow = {
  readonly state: "open" | "listed" | "gone" | "never_completed";
  readonly status?: string;
  /** Beyond those that the ledger has. */
  readonly missing?: number;
};

export type JobRow = {
  readonly attempt: number;
  readonly state: "pending" | "archived" | "absent" | "failed";
  readonly reason?: string | null;
  readonly loaded?: boolean;
  readonly recorded?: boolean;
};

export type RunRow = {
  readonly run_id: number;
  readonly createdAt: Date;
  readonly attempts: readonly AttemptRow[];
  readonly jobs: readonly JobRow[];
};

/** A repository that was just polled without a problem. */
export async function addLedger(db: Database, repositoryId: number, fullName: string): Promise<void> {
  await claimIdentity(db, { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host: "github.com" });
  await addRepository(db, repositoryId, fullName);
  await setRepository(db, repositoryId, {
    polled_at: new Date(),
    poll_due_at: new Date(Date.now() + 60_000),
    archive_since: new Date("2026-05-01T00:00:00Z"),
  });
}

export type RepositoryChange = {
  polled_at?: Date;
  poll_due_at?: Date;
  archive_since?: Date | null;
  problem?: string;
  problem_since?: Date;
  is_selected?: boolean;
};

export async function setRepository(db: Database, repositoryId: number, change: RepositoryChange): Promise<void> {
  await db.updateTable("archive.repositories").set(change).where("repository_id", "=", repositoryId).execute();
}

/** A job's id, from its run and its index in it. */
export const jobIdOf = (run_id: number, index: number): number => run_id * 100 + index;

export async function addRun(db: Database, repository_id: number, { run_id, createdAt, attempts, jobs }: RunRow): Promise<void> {
  await db
    .insertInto("archive.runs")
    .values({ run_id, repository_id, run_attempt: attempts.length, created_at: createdAt })
    .execute();
  for (const [index, { state, status = "completed", missing = 0 }] of attempts.entries()) {
    const run_attempt = index + 1;
    const known = jobs.filter(({ attempt }) => attempt === run_attempt).length;
    const missingIds = Array.from({ length: missing }, (_, place) => jobIdOf(run_id, 90 + place));
    const listing =
      state === "listed" ? { listed_jobs: known + missing, missing_job_ids: missingIds, listed_at: new Date() } : {};
    await db
      .insertInto("archive.attempts")
      .values({ run_id, run_attempt, repository_id, state, status, ...listing })
      .execute();
  }
  for (const [index, job] of jobs.entries()) {
    const { attempt, state, reason = null, loaded = true, recorded = true } = job;
    const isSettled = state === "archived" || state === "absent";
    await db
      .insertInto("archive.log_jobs")
      .values({
        job_id: jobIdOf(run_id, index),
        repository_id,
        run_id,
        run_attempt: attempt,
        last_listed_attempt: attempt,
        object: JSON.stringify(jobObject()),
        object_source: "listing",
        object_received_at: new Date(),
        log_state: state,
        log_reason: reason,
        log_detail: state === "failed" ? "what happened" : null,
        rows_loaded_at: loaded ? new Date() : null,
        record_key: isSettled && recorded ? `records/${run_id}` : null,
        decided_at: isSettled ? new Date() : null,
      })
      .execute();
  }
}
