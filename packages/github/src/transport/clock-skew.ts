// Compares the Date header of GitHub's responses with the database's clock. Windows, ages and retention are measured by that header, so a
// wrong Date could commit a window in the future or make a log seem young.

import { setTimeout as sleep } from "node:timers/promises";

import type { ReferenceClock } from "@actions-archive/core/budget";
import { TransientError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";

/** A Date that differs by more is refused for windows and ages. Clocks synchronised by NTP differ by less than a second. */
export const maxClockSkewMs = 5 * 60_000;

/** A single wrong Date comes from one of many frontends; the next request reaches another. */
const maxDateRetries = 2;
const dateRetryDelayMs = 250;
/** A skew that lasts is recorded again after this time, so that `status` shows when it was last seen. */
const recordEveryMs = 60_000;

export type DatedAnswer = {
  /** GitHub's `Date`; the database's time if the server sent none. */
  readonly date: Date;
  /** How far `date` is ahead of the database's clock (negative: behind); undefined within `maxClockSkewMs`. */
  readonly skewMs: number | undefined;
};

/**
 * The date of a response, for windows and ages.
 * @throws TransientError `github/clock-skew` when it is refused. The response's data is still valid.
 */
export function trustedDate({ apiUrl }: { readonly apiUrl: URL }, { date, skewMs }: DatedAnswer): Date {
  if (skewMs === undefined) return date;
  throw new TransientError(
    "github/clock-skew",
    `The Date header of ${apiUrl.host} is ${describeSkew(skewMs)} the database's clock: it is refused for windows and ages. Check the clock of the GitHub server and of the database.`,
  );
}

/** The difference in words, to be followed by the name of the other clock: `9 min 58 s ahead of`. */
export function describeSkew(skewMs: number): string {
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ] as const;
  let seconds = Math.round(Math.abs(skewMs) / 1_000);
  const parts: string[] = [];
  for (const [unit, length] of units) {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return `${parts.slice(0, 2).join(" ")} ${skewMs > 0 ? "ahead of" : "behind"}`;
}

export type GitHubClockOptions = {
  /** The API's host, for logs and `status`. */
  readonly host: string;
  readonly reference: ReferenceClock;
  readonly log: Logger;
};

/** GitHub's time from its responses, each compared with the reference clock. */
export class GitHubClock {
  readonly #options: GitHubClockOptions;
  /** GitHub's clock minus this machine's, from the last accepted Date header. */
  #offsetMs: number | undefined;
  /** The same from the last Date, accepted or not. */
  #rawOffsetMs = 0;
  /** Undefined before the first accepted Date: an earlier process may have recorded a skew that has ended. */
  #isRefused: boolean | undefined;
  /** When a refused Date was last recorded. */
  #recordedAt = 0;

  constructor(options: GitHubClockOptions) {
    this.#options = options;
  }

  /** GitHub's time by the last accepted Date; before the first one, the reference clock's. */
  now(): Date {
    if (this.#offsetMs === undefined) return this.#options.reference.now() ?? new Date();
    return new Date(Date.now() + this.#offsetMs);
  }

  /** GitHub's time by its last Date, even a refused one: GitHub compares the times of an App's token with its own clock. */
  rawNowMs(): number {
    return Date.now() + this.#rawOffsetMs;
  }

  /** Reads and checks a Date header. @param sentAt the reference clock's time just before the request was sent. */
  async readDate(header: string | string[] | undefined, sentAt: Date | undefined): Promise<DatedAnswer> {
    const { reference } = this.#options;
    const date = new Date(String(header));
    if (Number.isNaN(date.getTime())) return { date: reference.now() ?? new Date(), skewMs: undefined };
    const offsetMs = date.getTime() - Date.now();
    this.#rawOffsetMs = offsetMs;
    const skewMs = await this.#measureSkew(date, sentAt);
    if (skewMs !== undefined) return { date, skewMs };
    this.#offsetMs = offsetMs;
    if (this.#isRefused !== false) await this.#accept();
    return { date, skewMs: undefined };
  }

  /**
   * Calls `send` again, at most twice, while the response's Date is skewed. A persistent skew is logged once and recorded, and the last
   * response is returned. While the skew lasts, each request is sent only once.
   */
  async retryWhileSkewed<T extends DatedAnswer>(send: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (let retries = 0; ; retries++) {
      const answer = await send();
      if (answer.skewMs === undefined) return answer;
      if (this.#isRefused || retries === maxDateRetries) {
        await this.#refuse(answer.skewMs);
        return answer;
      }
      await sleep(dateRetryDelayMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }

  // GitHub wrote the Date between the request and its response. The clock is read again before a Date counts as ahead: after this machine
  // was suspended, the last reading, advanced by the monotonic clock, is late.
  async #measureSkew(date: Date, sentAt: Date | undefined): Promise<number | undefined> {
    const { reference } = this.#options;
    const behindMs = sentAt === undefined ? 0 : date.getTime() - sentAt.getTime();
    if (behindMs < -maxClockSkewMs) return behindMs;
    const known = reference.now();
    if (known === undefined || date.getTime() - known.getTime() <= maxClockSkewMs) return undefined;
    const aheadMs = date.getTime() - (await reference.read()).getTime();
    return aheadMs > maxClockSkewMs ? aheadMs : undefined;
  }

  async #accept(): Promise<void> {
    const { log, host } = this.#options;
    if (this.#isRefused) log.info({ host }, "clock skew ended");
    this.#isRefused = false;
    await this.#record(undefined);
  }

  async #refuse(skewMs: number): Promise<void> {
    const { log, host } = this.#options;
    const isNew = !this.#isRefused;
    if (!isNew && performance.now() - this.#recordedAt < recordEveryMs) return;
    this.#isRefused = true;
    this.#recordedAt = performance.now();
    if (isNew) log.warn({ host, skewSeconds: Math.round(skewMs / 1_000) }, "clock skew");
    await this.#record(skewMs);
  }

  // The record is for operators only, so a failure does not affect the response.
  async #record(skewMs: number | undefined): Promise<void> {
    const { reference, log, host } = this.#options;
    try {
      await reference.recordSkew(host, skewMs);
    } catch (error) {
      log.warn({ err: error, host }, "clock skew not recorded");
    }
  }
}
