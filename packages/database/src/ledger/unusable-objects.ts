// Run and job objects that the ledger cannot use: kept as received, and gaps until a later list shows a usable object or none.

import { createHash } from "node:crypto";

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { asFields, id } from "../rows/job-rows.ts";
import type { Window } from "./windows.ts";

export type UnusableObject = {
  readonly object: unknown;
  /** What is wrong with it, as text. */
  readonly problem: string;
};

/** GitHub's objects have a few tens of KB; a larger one is kept as truncated text. */
const maxObjectLength = 200_000;

/**
 * Keeps unusable runs of a list. Idempotent.
 * @param positionedAt the approximate creation of each, whose day of coverage becomes incomplete.
 * @returns the problems of those that were not kept before.
 */
export async function recordUnusableRuns(
  db: Database,
  repositoryId: number,
  runs: readonly (UnusableObject & { readonly positionedAt: Date })[],
): Promise<string[]> {
  const found: string[] = [];
  for (const { object, problem, positionedAt } of runs) {
    const run_id = id(asFields(object)["id"]);
    const isNew = await insert(db, {
      repository_id: repositoryId,
      kind: "run",
      run_id,
      placed_at: positionedAt,
      object,
      problem,
    });
    if (isNew) found.push(problem);
  }
  return found;
}

/** Runs with these ids can be used after all. Idempotent. */
export async function deleteUnusableRuns(db: Database, repositoryId: number, runIds: readonly number[]): Promise<void> {
  await db
    .deleteFrom("archive.unusable_objects")
    .where("repository_id", "=", repositoryId)
    .where("kind", "=", "run")
    .where(sql<boolean>`run_id = any(${sql.val(runIds)}::bigint[])`)
    .execute();
}

/** A span was listed completely, and each of its runs can be used. Idempotent. */
export async function deleteUnusableRunsIn(db: Database, repositoryId: number, { start, end }: Window): Promise<void> {
  await db
    .deleteFrom("archive.unusable_objects")
    .where("repository_id", "=", repositoryId)
    .where("kind", "=", "run")
    .where("placed_at", ">=", start)
    .where("placed_at", "<", end)
    .execute();
}

type AttemptOf = { readonly repository_id: number; readonly run_id: number; readonly run_attempt: number };

/** Replaces the unusable jobs of an attempt by those of its last list. Idempotent. */
export async function replaceUnusableJobs(db: Database, attempt: AttemptOf, jobs: readonly UnusableObject[]): Promise<void> {
  const { repository_id, run_id, run_attempt } = attempt;
  const rows = jobs.map(({ object, problem }): Row => {
    const job_id = id(asFields(object)["id"]);
    return { repository_id, kind: "job", run_id, run_attempt, job_id, object, problem };
  });
  await transact(db, async (trx) => {
    await trx
      .deleteFrom("archive.unusable_objects")
      .where("repository_id", "=", repository_id)
      .where("kind", "=", "job")
      .where("run_id", "=", run_id)
      .where("run_attempt", "=", run_attempt)
      .where(sql<boolean>`object_key <> all(${sql.val(rows.map(keyOf))}::text[])`)
      .execute();
    for (const row of rows) await insert(trx, row);
  });
}

type Row = UnusableObject & {
  readonly repository_id: number;
  readonly kind: "run" | "job";
  readonly run_id: number | null;
  readonly run_attempt?: number;
  readonly job_id?: number | null;
  readonly placed_at?: Date;
};

function keyOf({ kind, run_id, job_id, object }: Row): string {
  const known = kind === "run" ? run_id : job_id;
  return String(known ?? createHash("sha256").update(JSON.stringify(object)).digest("hex"));
}

/** @returns whether it was not kept before. */
async function insert(db: Database, row: Row): Promise<boolean> {
  const json = JSON.stringify(row.object);
  const object = json.length > maxObjectLength ? JSON.stringify(json.slice(0, maxObjectLength).toWellFormed()) : json;
  const { is_new } = await db
    .insertInto("archive.unusable_objects")
    .values({ ...row, object_key: keyOf(row), object })
    .onConflict((conflict) =>
      conflict
        .columns(["repository_id", "kind", "object_key"])
        .doUpdateSet({ object, problem: row.problem, last_seen_at: sql<Date>`now()` }),
    )
    // xmax is 0 for a row version that this statement inserted.
    .returning(sql<boolean>`xmax = 0`.as("is_new"))
    .executeTakeFirstOrThrow();
  return is_new;
}
