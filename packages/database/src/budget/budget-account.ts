// One credential's budget in this process: waiting and running requests, and usage not yet reported to Postgres. Requests that arrive
// during a statement share the next one, so hundreds a second need only a few statements.

import { setTimeout as sleep } from "node:timers/promises";

import type { Pause, Permit, RateLimitReading, RequestOutcome } from "@actions-archive/core/budget";
import { RateLimitedError, TransientError } from "@actions-archive/core/errors";

import { translateDatabaseError } from "../connection/failure.ts";
import type { BudgetGrant, UsageReport } from "./request-budget.ts";

export type Ask = (question: { running: number; wanted: number; usage: UsageReport }) => Promise<BudgetGrant>;

export type BudgetAccountOptions = {
  readonly ask: Ask;
  /** How long a request waits for its turn (pace, concurrent requests) before its job is delayed instead. */
  readonly maxTurnMs: number;
  /** This machine's time in milliseconds: estimates the end of a pause, and never decides. */
  readonly now: () => number;
};

/** A permission is dropped if it took longer to arrive, since a pause may have begun meanwhile. */
const permissionTtlMs = 500;
/** Maximum interval between calls of a waiting process: its count of running requests lives for a minute. */
const maxBackoffMs = 20_000;
/** Ended requests are reported with the next call, or after this time. */
const reportAfterMs = 50;

type Waiter = { readonly since: number; readonly grant: () => void; readonly refuse: (error: unknown) => void };
type PendingUsage = { counted: number; unread: number; reading?: Read; pause?: Dated<Pause> };
type Dated<T> = { readonly value: T; readonly at: number };
type Read = Dated<RateLimitReading> & { readonly beganAt: number };

export class BudgetAccount {
  readonly #credential: string;
  readonly #options: BudgetAccountOptions;
  readonly #waiting: Waiter[] = [];
  #pendingUsage: PendingUsage = { counted: 0, unread: 0 };
  #running = 0;
  /** Requests that Postgres counts as running here. */
  #reportedRunning = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #isServing = false;
  #backoff: AbortController | undefined;
  #isReportScheduled = false;

  constructor(credential: string, options: BudgetAccountOptions) {
    this.#credential = credential;
    this.#options = options;
  }

  async acquire(signal?: AbortSignal): Promise<Permit> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Permit>();
    const waiter: Waiter = { since: performance.now(), grant: () => resolve(this.#permit()), refuse: reject };
    const abandon = () => {
      const index = this.#waiting.indexOf(waiter);
      if (index !== -1) this.#waiting.splice(index, 1);
      if (this.#waiting.length === 0) this.#backoff?.abort();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abandon, { once: true });
    this.#waiting.push(waiter);
    if (!this.#isServing) void this.#serve();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abandon);
    }
  }

  /** Reported at once; if Postgres is unavailable, kept for the next call, since nothing can start anyway. */
  async pause(pause: Pause): Promise<Date> {
    const known = this.#pendingUsage.pause;
    if (known === undefined || leftMs(known, known.value.waitMs) < pause.waitMs)
      this.#pendingUsage.pause = { value: pause, at: performance.now() };
    const answer = await this.#exchange();
    return new Date(this.#options.now() + (answer.is_paused ? answer.wait_ms : 0));
  }

  #permit(): Permit {
    this.#running++;
    const beganAt = performance.now();
    let isOver = false;
    return {
      end: (outcome) => {
        if (isOver) return;
        isOver = true;
        this.#running--;
        this.#note(outcome, beganAt);
        void this.#reportSoon();
      },
    };
  }

  #note({ reading, isFree }: RequestOutcome, beganAt: number): void {
    if (!isFree) this.#pendingUsage.counted++;
    if (!isFree && reading === undefined) this.#pendingUsage.unread++;
    if (reading !== undefined)
      this.#pendingUsage.reading = later(this.#pendingUsage.reading, { value: reading, at: performance.now(), beganAt });
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    try {
      while (this.#waiting.length > 0) {
        const { wait_ms } = await this.#exchange();
        if (this.#waiting.length > 0 && wait_ms > 0) await this.#rest(Math.min(wait_ms, maxBackoffMs));
      }
    } catch (error) {
      this.#refuseAll(error);
    } finally {
      this.#isServing = false;
    }
  }

  async #rest(ms: number): Promise<void> {
    this.#backoff = new AbortController();
    // Ends early if no request waits any more.
    await sleep(ms, undefined, { signal: this.#backoff.signal }).catch(() => undefined);
    this.#backoff = undefined;
  }

  // One statement at a time: each reports the number of running requests, and an older count must not overwrite a newer one.
  async #exchange(): Promise<BudgetGrant> {
    const exchange = this.#turn.then(async () => {
      const pending = this.#pendingUsage;
      this.#pendingUsage = { counted: 0, unread: 0 };
      const running = this.#running;
      const sentAt = performance.now();
      try {
        const answer = await this.#options.ask({ running, wanted: this.#waiting.length, usage: toUsageReport(pending) });
        this.#reportedRunning = running + answer.granted;
        const isFresh = performance.now() - sentAt < permissionTtlMs;
        // The next count corrects permissions that no request takes.
        const granted = isFresh ? this.#waiting.splice(0, answer.granted) : [];
        for (const waiter of granted) waiter.grant();
        if (granted.length < answer.granted) void this.#reportSoon();
        if (answer.is_paused) this.#refuseAll(this.#limited(answer.wait_ms, answer.reason ?? "a limit"));
        else this.#refuseLate(answer.wait_ms);
        return answer;
      } catch (error) {
        this.#pendingUsage = mergeUsage(pending, this.#pendingUsage);
        throw unavailable(error);
      }
    });
    this.#turn = exchange.catch(() => undefined);
    return exchange;
  }

  async #reportSoon(): Promise<void> {
    if (this.#isReportScheduled) return;
    this.#isReportScheduled = true;
    try {
      await sleep(reportAfterMs);
      const { counted, reading, pause } = this.#pendingUsage;
      const hasUsage = counted > 0 || reading !== undefined || pause !== undefined || this.#running !== this.#reportedRunning;
      if (hasUsage) await this.#exchange();
    } catch {
      // Reported with the next call. Without one it is not needed, and this process's count lapses.
    } finally {
      this.#isReportScheduled = false;
    }
  }

  #refuseAll(error: unknown): void {
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error);
  }

  /** Requests that would have to wait too long are refused at once. */
  #refuseLate(waitMs: number): void {
    const maxMs = this.#options.maxTurnMs - waitMs;
    while (performance.now() - (this.#waiting[0]?.since ?? Infinity) > maxMs)
      this.#waiting.shift()?.refuse(this.#limited(Math.max(waitMs, reportAfterMs), "the requests of this minute are used"));
  }

  #limited(waitMs: number, reason: string): RateLimitedError {
    const until = new Date(this.#options.now() + waitMs);
    return new RateLimitedError(`GitHub credential ${this.#credential} waits until ${until.toISOString()}: ${reason}`, until);
  }
}

function toUsageReport({ counted, unread, reading, pause }: PendingUsage): UsageReport {
  return {
    counted,
    unread,
    reading: reading && {
      ...reading.value,
      resetInMs: leftMs(reading, reading.value.resetInMs),
      beganAgoMs: performance.now() - reading.beganAt,
    },
    pause: pause && { ...pause.value, waitMs: leftMs(pause, pause.value.waitMs) },
  };
}

function leftMs({ at }: Dated<unknown>, waitMs: number): number {
  return Math.max(0, waitMs - (performance.now() - at));
}

/** Of two readings of one window, the one with more use; of two windows, the one read last. */
function later(known: Read | undefined, read: Read): Read {
  const isSameWindow = known !== undefined && Math.abs(known.value.resetAtSeconds - read.value.resetAtSeconds) <= 60;
  return isSameWindow && known.value.used > read.value.used ? known : read;
}

function mergeUsage(unreported: PendingUsage, since: PendingUsage): PendingUsage {
  const reading =
    unreported.reading && since.reading ? later(unreported.reading, since.reading) : (since.reading ?? unreported.reading);
  const pauses = [unreported.pause, since.pause].filter((pause) => pause !== undefined);
  const [pause] = pauses.toSorted((a, b) => leftMs(b, b.value.waitMs) - leftMs(a, a.value.waitMs));
  return {
    counted: unreported.counted + since.counted,
    unread: unreported.unread + since.unread,
    ...(reading && { reading }),
    ...(pause && { pause }),
  };
}

function unavailable(error: unknown): unknown {
  const ours = translateDatabaseError(error);
  if (ours instanceof TransientError) return ours;
  return new TransientError(
    "database/unavailable",
    "Postgres does not answer with a request budget, so no request is sent to GitHub",
    {
      cause: error,
    },
  );
}
