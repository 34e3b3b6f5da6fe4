// Webhook deliveries, by GitHub's guid: each is written into the ledger once, kept while it cannot be, and asked for again when
// GitHub could not deliver it.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";

export type DeliveryRef = {
  readonly guid: string;
  readonly event: string;
  readonly action: string | null;
  readonly repository_id: number;
};

/** What became of a delivery; nothing is kept of one whose repository is not archived. */
export type DeliveryOutcome = "recorded" | "ignored" | "duplicate" | "not_selected";

/** The repository as the payload names it. `seenAt` is when the payload was true, by GitHub's clock. */
export type PayloadRepository = { readonly full_name: string; readonly seenAt: Date };

/**
 * Writes a delivery and what it tells in one transaction. One that was written before changes nothing, one that waits is
 * written now. Idempotent by guid.
 * @param write what it tells; undefined when it holds nothing to write. Runs inside the transaction.
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

// A webhook never selects or unselects a repository. It may tell a new name, if it is younger than the one that is known.
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

/** Keeps a delivery that could not be written into the ledger now, as it was received. Idempotent. @throws as above. */
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

/** Deliveries that wait, those that failed least and then the oldest first; without those that failed `maxTries` times. */
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

/** Forgets a delivery that waits, because its repository is not archived any more. Idempotent. */
export async function dropStoredDelivery(db: Database, guid: string): Promise<void> {
  await db.deleteFrom("archive.deliveries").where("guid", "=", guid).where("outcome", "=", "stored").execute();
}

/**
 * Takes the right to ask GitHub for a delivery again: at most `maxRequests` times, `gapSeconds` apart, by one process, and never
 * for one that arrived.
 * @returns whether the caller is to ask.
 */
export async function claimRedelivery(
  db: Database,
  { guid, event, action, repository_id }: DeliveryRef,
  { maxRequests, gapSeconds }: { maxRequests: number; gapSeconds: number },
): Promise<boolean> {
  const { rows } = await sql`
    insert into archive.deliveries (guid, event, action, repository_id, outcome, asks, asked_at)
    values (${guid}, ${event}, ${action}, ${repository_id}, 'missed', 1, now())
    on conflict (guid) do update set asks = deliveries.asks + 1, asked_at = now()
    where deliveries.outcome = 'missed' and deliveries.asks < ${maxRequests}
      and deliveries.asked_at <= now() - make_interval(secs => ${gapSeconds})
    returning guid
  `.execute(db);
  return rows.length > 0;
}

/** Forgets deliveries that were first seen more than `days` ago: GitHub sends none again that is older than a week. */
export async function pruneDeliveries(db: Database, days: number): Promise<void> {
  await db
    .deleteFrom("archive.deliveries")
    .where("first_seen_at", "<", sql<Date>`now() - make_interval(days => ${days})`)
    .execute();
}
