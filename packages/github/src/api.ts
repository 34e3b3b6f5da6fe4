// What the client, its credentials and the endpoints share: a request, an answer, a page, and the part of the client that endpoints use.

import type { z } from "zod";

import type { RepositoryPath } from "./paths.ts";
import type { DatedAnswer } from "./transport/clock-skew.ts";

/** An answer's body and its date. Windows, ages and retention use the date only through `trustedDate`. */
export type Answer<T> = DatedAnswer & { readonly data: T; readonly etag: string | undefined };

/** An item of a list that is not of the documented shape, as received, and what is wrong with it. */
export type UnusableItem = {
  readonly object: unknown;
  readonly problem: string;
  /** How many usable items of its page come before it. */
  readonly place: number;
};

/** One page of a list; `hasNext` is whether another page follows. */
export type Page<T> = Answer<readonly T[]> & {
  readonly hasNext: boolean;
  /** How many items GitHub says the whole list has; undefined where the endpoint or an old server gives no `total_count`. */
  readonly totalCount?: number | undefined;
  /** How many items were asked for; undefined where the list does not say. */
  readonly perPage?: number;
  /** Items left out of `data`. One odd item never costs its page. */
  readonly unusable?: readonly UnusableItem[];
};

/** The answer to a request with an `etag` that still holds. It costs nothing of the primary limit. */
export type NotModified = DatedAnswer & { readonly notModified: true; readonly etag: string };

export type ApiRequest = {
  readonly method?: "GET" | "POST";
  /** Below the API's root, without a query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Whose credential pays. */
  readonly subject: Subject;
  readonly etag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly retries?: number;
  /** The caller uses `date`: an answer whose Date is skewed is retried, at most twice. */
  readonly needsDate?: boolean | undefined;
};

/** What is asked about, as far as it decides who asks. */
export type Subject =
  | { readonly repository: RepositoryPath }
  | { readonly owner: string }
  | { readonly credential: Credential }
  /** Nothing of anybody's: any credential will do. */
  | { readonly server: true };

export interface Credential {
  /** `token`, `app-12` or `installation-34`. */
  readonly id: string;
  /** The Authorization header's value. Gets a new token at most once, however many ask. */
  authorization(): Promise<string>;
  /** Told that GitHub answered 401 to `authorization`; whether asking again is worth it. */
  renew(authorization: string): boolean;
}

/** The client as its endpoints see it; `GitHub` implements it. */
export interface ApiClient {
  /**
   * Requests JSON of a known shape. `data` is GitHub's object as received, unknown keys included.
   * @throws RateLimitedError, PermanentError, TransientError as `transport/failure.ts` maps them.
   */
  get<S extends z.ZodType>(request: ApiRequest & { readonly schema: S }): Promise<Answer<z.output<S>> & { hasNext: boolean }>;
}
