// One credential's budget as this process sees it: who waits, what runs, what Postgres has yet to hear. Requests that come
// while a statement is under way share the next one, so that hundreds a second cost no more statements than a few.

import { setTimeout as sleep } from "node:timers/promises";

import type { Pause, Permit, RateLimitReading, RequestOutcome } from "@actions-archive/core/budget";
import { RateLimitedError, TransientError } from "@actions-archive/core/errors";

import { translateDatabaseError } from "../connection/failure.ts";
import type { BudgetGrant, UsageReport } from "./ask-budget.ts";

export type Ask = (question: { running: number; wanted: number; tidings: UsageReport }) => Promise<BudgetGrant>;

export type BudgetAccountOptions = {
  readonly ask: Ask;
  /** How long a request waits for its turn (pace, requests at once) before its job had better be delayed. */
  readonly maxTurnMs: number;
  /** This machine's time in milliseconds: for telling when a pause ends, never for deciding. */
  readonly now: () => number;
};

/** A permission is for now: one that took longer to arrive is dropped, since a pause may have come meanwhile. */
const permissionLivesMs = 500;
/** A process that waits asks so often at least: its count of what runs lives for a minute. */
const maxBackoffMs = 20_000;
/** What ended is told with the next question; where none comes, after this time. */
const reportAfterMs = 50;

type Waiter = { readonly since: number; readonly grant: () => void; readonly refuse: (error: unknown) => void };
type News = { counted: number; unread: number; reading?: Read; pause?: Dated<Pause> };
type Dated<T> = { readonly value: T; readonly at: number };
type Read = Dated<RateLimitReading> & { readonly beganAt: number };

export class BudgetAccount {
  readonly #credential: string;
  readonly #options: BudgetAccountOptions;
  readonly #waiting: Waiter[] = [];
  #news: News = { counted: 0, unread: 0 };
  #running = 0;
  /** How many requests Postgres holds to be running here. */
  #toldRunning = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #isServing = false;
  #nap: AbortController | undefined;
  #isTellingSoon = false;

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
      if (this.#waiting.length === 0) this.#nap?.abort();
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

  /** Told at once; kept and told with the next question where Postgres is away, when nothing can start anyway. */
  async pause(pause: Pause): Promise<Date> {
    const known = this.#news.pause;
    if (known === undefined || leftMs(known, known.value.waitMs) < pause.waitMs)
      this.#news.pause = { value: pause, at: performance.now() };
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
    if (!isFree) this.#news.counted++;
    if (!isFree && reading === undefined) this.#news.unread++;
    if (reading !== undefined) this.#news.reading = later(this.#news.reading, { value: reading, at: performance.now(), beganAt });
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
    this.#nap = new AbortController();
    // Ended early when nobody waits any more.
    await sleep(ms, undefined, { signal: this.#nap.signal }).catch(() => undefined);
    this.#nap = undefined;
  }

  // One statement at a time: each tells how many requests run, and an older count must not overwrite a younger one.
  async #exchange(): Promise<BudgetGrant> {
    const exchange = this.#turn.then(async () => {
      const news = this.#news;
      this.#news = { counted: 0, unread: 0 };
      const running = this.#running;
      const asked = performance.now();
      try {
        const answer = await this.#options.ask({ running, wanted: this.#waiting.length, tidings: usageReportsOf(news) });
        this.#toldRunning = running + answer.granted;
        const isFresh = performance.now() - asked < permissionLivesMs;
        // What nobody takes any more is set right by the next count.
        const granted = isFresh ? this.#waiting.splice(0, answer.granted) : [];
        for (const waiter of granted) waiter.grant();
        if (granted.length < answer.granted) void this.#reportSoon();
        if (answer.is_paused) this.#refuseAll(this.#limited(answer.wait_ms, answer.reason ?? "a limit"));
        else this.#refuseLate(answer.wait_ms);
        return answer;
      } catch (error) {
        this.#news = together(news, this.#news);
        throw unavailable(error);
      }
    });
    this.#turn = exchange.catch(() => undefined);
    return exchange;
  }

  async #reportSoon(): Promise<void> {
    if (this.#isTellingSoon) return;
    this.#isTellingSoon = true;
    try {
      await sleep(reportAfterMs);
      const { counted, reading, pause } = this.#news;
      const hasNews = counted > 0 || reading !== undefined || pause !== undefined || this.#running !== this.#toldRunning;
      if (hasNews) await this.#exchange();
    } catch {
      // It is told with the next question; without one nobody needs it, and the count of this process lapses.
    } finally {
      this.#isTellingSoon = false;
    }
  }

  #refuseAll(error: unknown): void {
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(error);
  }

  /** Who would have to wait too long is told so at once. */
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

function usageReportsOf({ counted, unread, reading, pause }: News): UsageReport {
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

/** Of two readings of one window the one that saw more use; of two windows the one that was read last. */
function later(known: Read | undefined, read: Read): Read {
  const isSameWindow = known !== undefined && Math.abs(known.value.resetAtSeconds - read.value.resetAtSeconds) <= 60;
  return isSameWindow && known.value.used > read.value.used ? known : read;
}

function together(untold: News, since: News): News {
  const reading = untold.reading && since.reading ? later(untold.reading, since.reading) : (since.reading ?? untold.reading);
  const pauses = [untold.pause, since.pause].filter((pause) => pause !== undefined);
  const [pause] = pauses.toSorted((a, b) => leftMs(b, b.value.waitMs) - leftMs(a, a.value.waitMs));
  return {
    counted: untold.counted + since.counted,
    unread: untold.unread + since.unread,
    ...(reading && { reading }),
    ...(pause && { pause }),
  };
}

function unavailable(error: unknown): unknown {
  const ours = translateDatabaseError(error);
  if (ours instanceof TransientError) return ours;
  return new TransientError("database/unavailable", "Postgres does not tell what may be asked of GitHub: nothing is sent", {
    cause: error,
  });
}
