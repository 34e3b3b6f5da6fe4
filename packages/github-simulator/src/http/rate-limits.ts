// GitHub's limits: the primary one by the hour, and the secondary one by requests a minute and at once. A test can also order
// an answer of either kind. Wording and headers: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api

import type { Clock } from "../clock.ts";
import type { Credential } from "../credentials.ts";
import { hourMs } from "../durations.ts";
import type { RateLimitOptions } from "../options.ts";
import { hexOf } from "../random.ts";
import { type Answer, answerOf } from "./answer.ts";

export type SecondaryLimitOrder = {
  /** Number of following answers of this kind. */
  readonly times: number;
  readonly status: 403 | 429;
  /** Seconds or a date; undefined: no such header. */
  readonly retryAfter?: string;
};

type Window = { used: number; limit: number; resetAtMs: number };
type Minute = { startedAtMs: number; requests: number };

const docs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";

export class RateLimits {
  readonly #clock: Clock;
  readonly #options: RateLimitOptions | undefined;
  readonly #windows = new Map<string, Window>();
  readonly #minutes = new Map<string, Minute>();
  readonly #running = new Map<string, number>();
  #ordered: { left: number; status: 403 | 429; retryAfter: string | undefined } | undefined;
  #requests = 0;

  constructor(clock: Clock, options: RateLimitOptions | undefined) {
    this.#clock = clock;
    this.#options = options;
  }

  get isOn(): boolean {
    return this.#options !== undefined;
  }

  /** Call before each request. @returns a refusal, if any. Call `end` in either case. */
  begin(credential: Credential, isFree: boolean): Answer | undefined {
    this.#requests++;
    const running = (this.#running.get(credential.id) ?? 0) + 1;
    this.#running.set(credential.id, running);
    const ordered = this.#takeOrder();
    if (ordered !== undefined) return this.#secondary(ordered.status, ordered.retryAfter);
    if (this.#options === undefined || isFree) return undefined;
    const window = this.#window(credential);
    if (window.used >= window.limit) return this.#primary(credential);
    window.used++;
    if (running > this.#options.concurrent || this.#isOverMinute(credential, this.#options)) return this.#secondary(403, "60");
    return undefined;
  }

  end(credential: Credential): void {
    this.#running.set(credential.id, (this.#running.get(credential.id) ?? 1) - 1);
  }

  /** Refunds a request: an authorized 304 does not count. */
  refund(credential: Credential): void {
    if (this.#options === undefined) return;
    const window = this.#window(credential);
    window.used = Math.max(0, window.used - 1);
  }

  headers(credential: Credential): Record<string, string> {
    if (this.#options === undefined) return {};
    const { limit, used, resetAtMs } = this.#window(credential);
    return {
      "x-ratelimit-limit": String(limit),
      "x-ratelimit-remaining": String(Math.max(limit - used, 0)),
      "x-ratelimit-reset": String(Math.ceil(resetAtMs / 1000)),
      "x-ratelimit-used": String(used),
      "x-ratelimit-resource": "core",
    };
  }

  /** @returns the content of `/rate_limit`. */
  reading(credential: Credential): { limit: number; used: number; remaining: number; reset: number } {
    const { limit, used, resetAtMs } = this.#window(credential);
    return { limit, used, remaining: Math.max(limit - used, 0), reset: Math.ceil(resetAtMs / 1000) };
  }

  /** Sets a credential's remaining requests and the end of its hour. */
  setRemaining(credential: Credential, remaining: number, resetInMs: number): void {
    const window = this.#window(credential);
    window.used = Math.max(window.limit - remaining, 0);
    window.resetAtMs = this.#clock.nowMs() + resetInMs;
  }

  orderSecondary({ times, status, retryAfter }: SecondaryLimitOrder): void {
    this.#ordered = { left: times, status, retryAfter };
  }

  #takeOrder(): { status: 403 | 429; retryAfter: string | undefined } | undefined {
    const order = this.#ordered;
    if (order === undefined || order.left <= 0) return undefined;
    order.left--;
    return order;
  }

  #window(credential: Credential): Window {
    const nowMs = this.#clock.nowMs();
    const known = this.#windows.get(credential.id);
    if (known !== undefined && known.resetAtMs > nowMs) return known;
    const fresh = { used: 0, limit: this.#options?.perHour ?? 5_000, resetAtMs: nowMs + hourMs };
    this.#windows.set(credential.id, fresh);
    return fresh;
  }

  #isOverMinute(credential: Credential, options: RateLimitOptions): boolean {
    if (options.perMinute === undefined) return false;
    const nowMs = this.#clock.nowMs();
    const known = this.#minutes.get(credential.id);
    const minute = known !== undefined && nowMs - known.startedAtMs < 60_000 ? known : { startedAtMs: nowMs, requests: 0 };
    minute.requests++;
    this.#minutes.set(credential.id, minute);
    return minute.requests > options.perMinute;
  }

  #primary(credential: Credential): Answer {
    const message = `API rate limit exceeded for ${credential.subject}. ${this.#support()}`;
    return answerOf(
      403,
      { "content-type": "application/json; charset=utf-8" },
      JSON.stringify({ message, documentation_url: docs, status: "403" }),
    );
  }

  #secondary(status: 403 | 429, retryAfter: string | undefined): Answer {
    const message = `You have exceeded a secondary rate limit. Please wait a few minutes before you try again. ${this.#support()}`;
    const documentation_url = `${docs}#about-secondary-rate-limits`;
    const headers = {
      "content-type": "application/json; charset=utf-8",
      ...(retryAfter === undefined ? {} : { "retry-after": retryAfter }),
    };
    return answerOf(status, headers, JSON.stringify({ message, documentation_url, status: String(status) }));
  }

  #support(): string {
    return `If you reach out to GitHub Support for help, please include the request ID ${hexOf(16, "request", this.#requests).toUpperCase()}.`;
  }
}
