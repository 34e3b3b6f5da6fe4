// Webhook deliveries, by GitHub's guid: each is written into the ledger once, stored while that fails, and requested again if GitHub
// could not deliver it.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";

export type DeliveryRef = {
  readonly guid: string;
  readonly event: string;
  readonly action: string | null;
  readonly repository_id: number;
};

/** Outcome of a delivery; nothing is kept of a repository that is not archived. */
export type DeliveryOutcome = "recorded" | "ignored" | "duplicate" | "not_selected";

/** The repository as the payload names it. `seenAt` is the payload's time, by GitHub's clock. */
export type PayloadRepository = { readonly full_name: string; readonly seenAt: Date };

/**
 * Writes a delivery and its facts in one transaction. Idempotent by guid: a repeated one changes nothing, and a stored one is written
 * now.
 * @param write writes the facts, inside the transaction; undefined if there are none.
 * @throws TransientError or PermanentError of the database; then nothing is written.
 */
export async function recordDelivery(
  db: Database,
  delivery: DeliveryRef,
  repository: PayloadRepository,
  write: ((trx: Database) => Promise<void>) | undefined,
): Promise<DeliveryOutcome> {
  return transact(db, async (trx) => {
    if (!(await findSelected(trx, delivery.repository_id, repository))) return "not_selected";
    const outcome = write === undefined ? "ignored" : "recorded";
    const { rows } = await sql`
      insert into archive.deliveries (guid, event, action, repository_id, outcome, received_at)
      values (${delivery.guid}, ${delivery.event}, ${delivery.action}, ${delivery.repository_id}, ${outcome}, now())
      on conflict (guid) do update set
        outcome = excluded.outcome,
        received_at = coalesce(deliveries.received_at, excluded.received_at),
        body = null,
        problem = null
      where deliveries.outcome in ('missed', 'stored')
      returning guid
    `.execute(trx);
    if (rows.length === 0) return "duplicate";
    await write?.(trx);
    return outcome;
  });
}

// A webhook never selects or unselects a repository. It may change the name if it is newer than the known one.
async function findSelected(trx: Database, repositoryId: number, { full_name, seenAt }: PayloadRepository): Promise<boolean> {
  const known = await trx
    .selectFrom("archive.repositories")
    .select("full_name")
    .where("repository_id", "=", repositoryId)
    .where("is_selected", "=", true)
    .executeTakeFirst();
  if (known === undefined) return false;
  if (known.full_name !== full_name) {
    await trx
      .updateTable("archive.repositories")
      .set({ full_name, named_at: sql<Date>`least(${seenAt}::timestamptz, now())`, name_seen_at: sql<Date>`now()` })
      .where("repository_id", "=", repositoryId)
      .where(sql<boolean>`coalesce(named_at, first_seen_at) < ${seenAt}::timestamptz`)
      .execute();
  }
  return true;
}

/**
 * Stores a delivery that could not be written into the ledger, as received. Idempotent.
 * @throws as above.
 */
export async function storeDelivery(db: Database, delivery: DeliveryRef, body: Uint8Array, problem: string): Promise<void> {
  await transact(db, (trx) =>
    sql`
      insert into archive.deliveries (guid, event, action, repository_id, outcome, body, problem, tries, received_at)
      values (${delivery.guid}, ${delivery.event}, ${delivery.action}, ${delivery.repository_id}, 'stored',
        ${Buffer.from(body)}, ${problem.replaceAll("\0", "\uFFFD")}, 1, now())
      on conflict (guid) do update set
        outcome = 'stored',
        body = excluded.body,
        problem = excluded.problem,
        tries = deliveries.tries + 1,
        received_at = coalesce(deliveries.received_at, excluded.received_at)
      where deliveries.outcome in ('missed', 'stored')
    `.execute(trx),
  );
}

export type StoredDelivery = { guid: string; event: string; body: Buffer };

/** Stored deliveries, fewest failures first, then oldest first; without those that failed `maxTries` times. */
export async function listStoredDeliveries(
  db: Database,
  { limit, maxTries }: { limit: number; maxTries: number },
): Promise<StoredDelivery[]> {
  const rows = await db
    .selectFrom("archive.deliveries")
    .select(["guid", "event", "body"])
    .where("outcome", "=", "stored")
    .where("tries", "<", maxTries)
    .orderBy("tries")
    .orderBy("received_at")
    .limit(limit)
    .execute();
  return rows.flatMap(({ guid, event, body }) => (body === null ? [] : [{ guid, event, body }]));
}

/** Deletes a stored delivery whose repository is no longer archived. Idempotent. */
export async function deleteStoredDelivery(db: Database, guid: string): Promise<void> {
  await db.deleteFrom("archive.deliveries").where("guid", "=", guid).where("outcome", "=", "stored").execute();
}

/**
 * Claims the right to request a delivery from GitHub again: at most `maxRequests` times, `gapSeconds` apart, by one process, and never
 * for a delivery that arrived.
 * @returns whether the caller is to send the request.
 */
export async function claimRedelivery(
  db: Database,
  { guid, event, action, repository_id }: DeliveryRef,
  { maxRequests, gapSeconds }: { maxRequests: number; gapSeconds: number },
): Promise<boolean> {
  const { rows } = await sql`
    insert into archive.deliveries (guid, event, action, repository_id, outcome, redelivery_requests, redelivery_requested_at)
    values (${guid}, ${event}, ${action}, ${repository_id}, 'missed', 1, now())
    on conflict (guid) do update set redelivery_requests = deliveries.redelivery_requests + 1, redelivery_requested_at = now()
    where deliveries.outcome = 'missed' and deliveries.redelivery_requests < ${maxRequests}
      and deliveries.redelivery_requested_at <= now() - make_interval(secs => ${gapSeconds})
    returning guid
  `.execute(db);
  return rows.length > 0;
}

/** Deletes deliveries first seen more than `days` ago: GitHub redelivers none older than a week. */
export async function pruneDeliveries(db: Database, days: number): Promise<void> {
  await db
    .deleteFrom("archive.deliveries")
    .where("first_seen_at", "<", sql<Date>`now() - make_interval(days => ${days})`)
    .execute();
}
