// One delivery of a webhook, from its body to the ledger: at once where that can be, kept as it came where it cannot.

import { errorMessage } from "@actions-archive/core/error-message";
import { TransientError } from "@actions-archive/core/errors";
import type { Database } from "@actions-archive/database/connection/open-database";
import { leaveToWebhooks, reopenGoneAttempts } from "@actions-archive/database/ledger/attempts";
import {
  type DeliveryOutcome,
  dropStoredDelivery,
  listStoredDeliveries,
  recordDelivery,
  storeDelivery,
} from "@actions-archive/database/ledger/deliveries";
import { recordJobs } from "@actions-archive/database/ledger/log-jobs";
import { recordRuns } from "@actions-archive/database/ledger/runs";

import type { Fetcher } from "../fetcher.ts";
import { isKnownEvent, readWebhookEvent, type WebhookEvent } from "./webhook-event.ts";

export type Delivery = { readonly guid: string; readonly event: string; readonly body: string };

type Receiver = Pick<Fetcher, "db" | "github" | "log">;

/** An attempt that goes on is looked at after this long where no webhook has told its end by then. */
const unheardSeconds = 60 * 60;
/**
 * One that is over is listed after this long. Only that listing proves that no job is missing, and it finds what no webhook told;
 * but it asks of the same 900 requests a minute as the logs, which come first, and GitHub lists some jobs late.
 */
const unprovenSeconds = 2 * 60;
const storedAtOnce = 100;
const maxTries = 20;

/**
 * Takes a delivery whose signature was checked. Idempotent by guid; the ledger is written by content, so that no order and no
 * repetition of deliveries matters.
 * @returns `stored` when it waits to be written into the ledger; nothing is kept of one that is `ignored` for its event, or whose
 * repository is `not_selected`.
 * @throws when nothing could be stored: GitHub may send it again.
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
 * Writes deliveries into the ledger that waited for it, until none is left that can be written. Idempotent; several processes
 * may do it at once.
 * @returns how many were written.
 * @throws TransientError while the database is away.
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
    if (outcome === "not_selected") await dropStoredDelivery(db, guid);
    return outcome;
  } catch (error) {
    // Without a database there is nothing to write down, and nothing else to try.
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

async function writeDelivery({ db }: Receiver, delivery: Delivery, event: WebhookEvent): Promise<DeliveryOutcome> {
  const { repository, seenAt, subject } = event;
  const write = subject === undefined ? undefined : (trx: Database) => writeSubject(trx, repository.id, subject);
  return recordDelivery(db, refOf(delivery, event), { full_name: repository.full_name, seenAt }, write);
}

async function writeSubject(
  trx: Database,
  repositoryId: number,
  subject: Exclude<WebhookEvent["subject"], undefined>,
): Promise<void> {
  await reopenGoneAttempts(trx, subject.run_id);
  if (subject.kind === "job") {
    await recordJobs(trx, repositoryId, [{ object: subject.object, source: "webhook", listedAttempt: subject.attempt }]);
    return;
  }
  await recordRuns(trx, repositoryId, [subject.object]);
  const attempt = { run_id: subject.run_id, run_attempt: subject.attempt };
  const { isOver } = subject;
  await leaveToWebhooks(trx, attempt, { isOver, seconds: isOver ? unprovenSeconds : unheardSeconds });
}
