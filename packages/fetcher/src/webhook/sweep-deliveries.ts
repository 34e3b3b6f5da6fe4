// Asks GitHub to send again what it could not deliver: it does not by itself. Only an App may ask; with a token polling alone
// finds what was missed. Nothing depends on it but how soon a job is seen.
// https://docs.github.com/en/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook

import { dayMs } from "@actions-archive/core/durations";
import { ActionsArchiveError, RateLimitedError } from "@actions-archive/core/errors";
import { claimRedelivery, pruneDeliveries } from "@actions-archive/database/ledger/deliveries";
import { listSelectedRepositories } from "@actions-archive/database/ledger/repositories";
import { type AppDelivery, listAppDeliveries, redeliverAppDelivery } from "@actions-archive/github/endpoints/app-deliveries";

import type { Fetcher } from "../fetcher.ts";

/** For how long GitHub keeps deliveries, and sends them again. */
const windowDays = { "github.com": 3, ghes: 7 } as const;
/** Longer than either window, so that a delivery that is listed is also remembered. */
const rememberDays = 9;

const maxRequests = 3;
const gapSeconds = 5 * 60;
/** A redelivery that failed is listed again, younger than the first: looking an hour back sees every one of them. */
const overlapMs = 60 * 60 * 1000;
const maxPages = 50;
const maxRedeliveries = 1_000;

type Sweeper = Pick<Fetcher, "db" | "github" | "log">;

export type SweepOptions = {
  readonly signal: AbortSignal;
  /** Up to where an earlier sweep has looked; undefined: as far back as GitHub keeps deliveries. */
  readonly sweptUntil?: Date | undefined;
  /** How long a redelivery has to arrive before it is asked for again. */
  readonly gapSeconds?: number;
};

/** `sweptUntil` is for the next sweep; undefined when this one did not look at everything. */
export type Sweep = { readonly asked: number; readonly sweptUntil: Date | undefined };

/**
 * Lists the deliveries that failed, newest first, and asks again for those of jobs and runs that ended in archived
 * repositories, each at most three times. Safe in several processes at once.
 * @throws RateLimitedError, TransientError, PermanentError of the client.
 */
export async function sweepDeliveries(fetcher: Sweeper, options: SweepOptions): Promise<Sweep> {
  const { db, github } = fetcher;
  await pruneDeliveries(db, rememberDays);
  const credential = github.app;
  if (credential === undefined) return { asked: 0, sweptUntil: undefined };
  const selected = new Set((await listSelectedRepositories(db)).map(({ repository_id }) => repository_id));
  const tried = new Set<string>();
  let [asked, pages] = [0, 0];
  let began: Date | undefined;
  for await (const { data } of listAppDeliveries(github, { credential, signal: options.signal })) {
    // By the first page's Date unless that is skewed: a sweep that began in the future would hide what fails until then.
    began ??= github.now();
    const oldest = oldestWanted(fetcher, began, options.sweptUntil);
    for (const delivery of data) {
      if (new Date(delivery.delivered_at) < oldest) return { asked, sweptUntil: began };
      const isFailed = delivery.status_code < 200 || delivery.status_code >= 300;
      if (!isFailed || !isWanted(delivery, selected) || tried.has(delivery.guid)) continue;
      tried.add(delivery.guid);
      if (await askAgain(fetcher, delivery, options)) asked++;
      if (asked === maxRedeliveries) return { asked, sweptUntil: undefined };
    }
    if (++pages === maxPages) return { asked, sweptUntil: undefined };
  }
  return { asked, sweptUntil: began };
}

function oldestWanted({ github }: Sweeper, now: Date, sweptUntil: Date | undefined): Date {
  const isGitHub = /(^|\.)(github\.com|ghe\.com)$/.test(github.apiUrl.hostname);
  const windowStart = now.getTime() - windowDays[isGitHub ? "github.com" : "ghes"] * dayMs;
  return new Date(Math.max(windowStart, (sweptUntil?.getTime() ?? 0) - overlapMs));
}

/** Of jobs and runs that go on, a later event tells more. */
function isWanted({ event, action, repository_id }: AppDelivery, selected: ReadonlySet<number>): boolean {
  const isEnd = (event === "workflow_job" || event === "workflow_run") && action === "completed";
  return isEnd && repository_id != null && selected.has(repository_id);
}

async function askAgain(
  { db, github, log }: Sweeper,
  { id, guid, event, action, repository_id }: AppDelivery,
  options: SweepOptions,
): Promise<boolean> {
  const credential = github.app;
  if (credential === undefined || repository_id == null) return false;
  const ref = { guid, event, action: action ?? null, repository_id };
  const limits = { maxRequests, gapSeconds: options.gapSeconds ?? gapSeconds };
  if (!(await claimRedelivery(db, ref, limits))) return false;
  try {
    await redeliverAppDelivery(github, { credential, deliveryId: id, signal: options.signal });
    log.info({ guid, repositoryId: repository_id }, "missed delivery asked for");
    return true;
  } catch (error) {
    // One that GitHub no longer has is no reason to leave the others.
    if (!(error instanceof ActionsArchiveError) || error instanceof RateLimitedError || error.code === "github/unavailable")
      throw error;
    log.warn({ guid, repositoryId: repository_id, reason: error.message }, "missed delivery not to be had");
    return false;
  }
}
