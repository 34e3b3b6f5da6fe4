// Records a webhook delivery in the ledger, or stores it for later when recording fails.

import { errorMessage } from "@actions-archive/core/error-message";
import { TransientError } from "@actions-archive/core/errors";
import type { Database } from "@actions-archive/database/connection/open-database";
import { deferCheckForWebhooks, reopenGoneAttempts } from "@actions-archive/database/ledger/attempts";
import {
  type DeliveryOutcome,
  deleteStoredDelivery,
  listStoredDeliveries,
  recordDelivery,
  storeDelivery,
} from "@actions-archive/database/ledger/deliveries";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordRuns } from "@actions-archive/database/ledger/runs";

import type { Fetcher } from "../fetcher.ts";
import { isKnownEvent, readWebhookEvent, type WebhookEvent } from "./webhook-event.ts";

export type Delivery = { readonly guid: string; readonly event: string; readonly body: string };

type Receiver = Pick<Fetcher, "db" | "github" | "log" | "metrics">;

/** When no webhook reported its end, an attempt in progress is checked after this long. */
const inProgressCheckSeconds = 60 * 60;
/**
 * A completed attempt is listed after this long. Only the listing proves that no job is missing, and it finds jobs without a
 * webhook. It is delayed because it shares the limit of 900 requests a minute with the logs, which come first, and because GitHub
 * lists some jobs late.
 */
const completedCheckSeconds = 2 * 60;
const storedAtOnce = 100;
const maxTries = 20;

/**
 * Receives a delivery with a verified signature. Idempotent by guid. The ledger is written by content, so the order and
 * repetition of deliveries do not matter.
 * @returns `stored` when it waits to be recorded; `ignored` for an event of another kind and `not_selected` for another
 * repository, of which nothing is stored.
 * @throws when the delivery could not be stored: GitHub may redeliver it.
 */
export async function receiveDelivery(receiver: Receiver, delivery: Delivery): Promise<DeliveryOutcome | "stored"> {
  const event = readDelivery(receiver, delivery);
  if (event === undefined) return "ignored";
  try {
    return await writeDelivery(receiver, delivery, event);
  } catch (error) {
    const { guid } = delivery;
    await storeDelivery(receiver.db, refOf(delivery, event), Buffer.from(delivery.body), errorMessage(error));
    receiver.log.warn({ err: error, guid, repositoryId: event.repository.id }, "delivery stored for later");
    return "stored";
  }
}

/**
 * Records stored deliveries until none is left that can be recorded. Idempotent; several processes may run it concurrently.
 * @returns the number of recorded deliveries.
 * @throws TransientError while the database is unavailable.
 */
export async function recordStoredDeliveries(receiver: Receiver): Promise<number> {
  let recorded = 0;
  for (;;) {
    const stored = await listStoredDeliveries(receiver.db, { limit: storedAtOnce, maxTries });
    let settled = 0;
    for (const { guid, event, body } of stored) {
      const outcome = await recordStored(receiver, { guid, event, body: body.toString("utf8") });
      if (outcome !== "stored") settled++;
      if (outcome === "recorded") recorded++;
    }
    if (settled === 0) return recorded;
  }
}

async function recordStored(receiver: Receiver, delivery: Delivery): Promise<DeliveryOutcome | "stored"> {
  const { db, log } = receiver;
  const { guid } = delivery;
  const event = readDelivery(receiver, delivery);
  try {
    const outcome = event === undefined ? "not_selected" : await writeDelivery(receiver, delivery, event);
    if (outcome === "not_selected") await deleteStoredDelivery(db, guid);
    return outcome;
  } catch (error) {
    // Without the database the failure cannot be recorded either.
    if (event === undefined || error instanceof TransientError) throw error;
    await storeDelivery(db, refOf(delivery, event), Buffer.from(delivery.body), errorMessage(error));
    log.error({ err: error, guid, repositoryId: event.repository.id }, "delivery not recorded");
    return "stored";
  }
}

function readDelivery({ github }: Receiver, { event, body }: Delivery): WebhookEvent | undefined {
  return isKnownEvent(event) ? readWebhookEvent(event, body, github.now()) : undefined;
}

function refOf({ guid, event }: Delivery, { action, repository }: WebhookEvent) {
  return { guid, event, action, repository_id: repository.id };
}

async function writeDelivery({ db, metrics }: Receiver, delivery: Delivery, event: WebhookEvent): Promise<DeliveryOutcome> {
  const { repository, seenAt, subject } = event;
  let added = 0;
  const write =
    subject === undefined
      ? undefined
      : async (trx: Database) => {
          added = await writeSubject(trx, repository.id, subject);
        };
  const outcome = await recordDelivery(db, refOf(delivery, event), { full_name: repository.full_name, seenAt }, write);
  metrics?.jobsDiscovered.inc({ source: "webhook" }, added);
  return outcome;
}

async function writeSubject(
  trx: Database,
  repositoryId: number,
  subject: Exclude<WebhookEvent["subject"], undefined>,
): Promise<number> {
  await reopenGoneAttempts(trx, subject.run_id);
  if (subject.kind === "job") {
    return recordJobs(trx, repositoryId, [{ object: subject.object, source: "webhook", listedAttempt: subject.attempt }]);
  }
  await recordRuns(trx, repositoryId, [subject.object]);
  const attempt = { run_id: subject.run_id, run_attempt: subject.attempt };
  const { isOver } = subject;
  await deferCheckForWebhooks(trx, attempt, { isOver, seconds: isOver ? completedCheckSeconds : inProgressCheckSeconds });
  return 0;
}
