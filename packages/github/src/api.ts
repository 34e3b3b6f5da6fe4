// Types shared by the client, its credentials and the endpoints: requests, answers, pages, and the client as endpoints use it.

import type { z } from "zod";

import type { RepositoryPath } from "./paths.ts";
import type { DatedAnswer } from "./transport/clock-skew.ts";

/** The body and the date of a response. Windows, ages and retention use the date only through `trustedDate`. */
export type Answer<T> = DatedAnswer & { readonly data: T; readonly etag: string | undefined };

/** An item of a list that does not have the documented shape, as received, with the problem. */
export type UnusableItem = {
  readonly object: unknown;
  readonly problem: string;
  /** Number of usable items before it on its page. */
  readonly place: number;
};

/** One page of a list. `hasNext`: another page follows. */
export type Page<T> = Answer<readonly T[]> & {
  readonly hasNext: boolean;
  /** GitHub's `total_count` of the complete list; undefined if the endpoint or an old server does not send it. */
  readonly totalCount?: number | undefined;
  /** Number of items requested; undefined if the list does not record it. */
  readonly perPage?: number;
  /** Items left out of `data`, so that one invalid item does not lose its page. */
  readonly unusable?: readonly UnusableItem[];
};

/** The 304 response to a request with an `etag` that still matches. It does not count against the primary limit. */
export type NotModified = DatedAnswer & { readonly notModified: true; readonly etag: string };

export type ApiRequest = {
  readonly method?: "GET" | "POST";
  /** Relative to the API's root, without a query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Selects the credential. */
  readonly subject: Subject;
  readonly etag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly retries?: number;
  /** The caller uses `date`: a response with a skewed Date is retried, at most twice. */
  readonly needsDate?: boolean | undefined;
};

/** The subject of a request, which determines its credential. */
export type Subject =
  | { readonly repository: RepositoryPath }
  | { readonly owner: string }
  | { readonly credential: Credential }
  /** The server itself: any credential works. */
  | { readonly server: true };

export interface Credential {
  /** `token`, `app-12` or `installation-34`. */
  readonly id: string;
  /** The value of the Authorization header. Concurrent callers share one request for a new token. */
  authorization(): Promise<string>;
  /** Call when GitHub answered 401 to `authorization`. @returns whether to retry with a new authorization. */
  renew(authorization: string): boolean;
}

/** The part of the client that endpoints use; `GitHub` implements it. */
export interface ApiClient {
  /**
   * Requests JSON and checks its shape. `data` is GitHub's object as received, including unknown keys.
   * @throws RateLimitedError, PermanentError, TransientError as `transport/failure.ts` maps them.
   */
  get<S extends z.ZodType>(request: ApiRequest & { readonly schema: S }): Promise<Answer<z.output<S>> & { hasNext: boolean }>;
}
