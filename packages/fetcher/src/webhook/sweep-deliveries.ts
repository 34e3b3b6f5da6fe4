// Requests redelivery of failed webhook deliveries, which GitHub does not retry by itself. Only an App may request it; with a
// token, polling finds the jobs later.
// https://docs.github.com/en/webhooks/using-webhooks/automatically-redelivering-failed-deliveries-for-a-github-app-webhook

import { dayMs } from "@actions-archive/core/durations";
import { ActionsArchiveError, RateLimitedError } from "@actions-archive/core/errors";
import { claimRedelivery, pruneDeliveries } from "@actions-archive/database/ledger/deliveries";
import { listSelectedRepositories } from "@actions-archive/database/ledger/repositories";
import { type AppDelivery, listAppDeliveries, redeliverAppDelivery } from "@actions-archive/github/endpoints/app-deliveries";

import type { Fetcher } from "../fetcher.ts";

/** How long GitHub keeps and redelivers a delivery. */
const windowDays = { "github.com": 3, ghes: 7 } as const;
/** Longer than either window, so that every delivery that GitHub lists is still recorded. */
const rememberDays = 9;

const maxRequests = 3;
const gapSeconds = 5 * 60;
/** A failed redelivery is listed as newer than the original, so an overlap of an hour finds each of them. */
const overlapMs = 60 * 60 * 1000;
const maxPages = 50;
const maxRedeliveries = 1_000;

type Sweeper = Pick<Fetcher, "db" | "github" | "log">;

export type SweepOptions = {
  readonly signal: AbortSignal;
  /** Where the previous sweep ended; undefined: sweeps as far back as GitHub keeps deliveries. */
  readonly sweptUntil?: Date | undefined;
  /** The minimum time between two requests for the same delivery. */
  readonly gapSeconds?: number;
};

/** `requested` counts the requested redeliveries. `sweptUntil` is for the next sweep; undefined when this one was not complete. */
export type Sweep = { readonly requested: number; readonly sweptUntil: Date | undefined };

/**
 * Lists failed deliveries, newest first, and requests redelivery of those about completed jobs and runs of selected repositories,
 * each at most three times. Safe to run concurrently in several processes.
 * @throws RateLimitedError, TransientError, PermanentError of the client.
 */
export async function sweepDeliveries(fetcher: Sweeper, options: SweepOptions): Promise<Sweep> {
  const { db, github } = fetcher;
  await pruneDeliveries(db, rememberDays);
  const credential = github.app;
  if (credential === undefined) return { requested: 0, sweptUntil: undefined };
  const selected = new Set((await listSelectedRepositories(db)).map(({ repository_id }) => repository_id));
  const tried = new Set<string>();
  let [requested, pages] = [0, 0];
  let began: Date | undefined;
  for await (const { data } of listAppDeliveries(github, { credential, signal: options.signal })) {
    // Uses the first page's Date unless it is skewed: a sweep dated in the future would skip deliveries that fail until then.
    began ??= github.now();
    const oldest = oldestToSweep(fetcher, began, options.sweptUntil);
    for (const delivery of data) {
      if (new Date(delivery.delivered_at) < oldest) return { requested, sweptUntil: began };
      const isFailed = delivery.status_code < 200 || delivery.status_code >= 300;
      if (!isFailed || !isCompletion(delivery, selected) || tried.has(delivery.guid)) continue;
      tried.add(delivery.guid);
      if (await requestRedelivery(fetcher, delivery, options)) requested++;
      if (requested === maxRedeliveries) return { requested, sweptUntil: undefined };
    }
    if (++pages === maxPages) return { requested, sweptUntil: undefined };
  }
  return { requested, sweptUntil: began };
}

function oldestToSweep({ github }: Sweeper, now: Date, sweptUntil: Date | undefined): Date {
  const isGitHub = /(^|\.)(github\.com|ghe\.com)$/.test(github.apiUrl.hostname);
  const windowStart = now.getTime() - windowDays[isGitHub ? "github.com" : "ghes"] * dayMs;
  return new Date(Math.max(windowStart, (sweptUntil?.getTime() ?? 0) - overlapMs));
}

/** Only completions are requested: jobs and runs in progress cause later events. */
function isCompletion({ event, action, repository_id }: AppDelivery, selected: ReadonlySet<number>): boolean {
  const isEnd = (event === "workflow_job" || event === "workflow_run") && action === "completed";
  return isEnd && repository_id != null && selected.has(repository_id);
}

async function requestRedelivery(
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
    log.info({ guid, repositoryId: repository_id }, "redelivery requested");
    return true;
  } catch (error) {
    // A delivery that GitHub no longer has does not end the sweep.
    if (!(error instanceof ActionsArchiveError) || error instanceof RateLimitedError || error.code === "github/unavailable")
      throw error;
    log.warn({ guid, repositoryId: repository_id, reason: error.message }, "redelivery refused");
    return false;
  }
}
