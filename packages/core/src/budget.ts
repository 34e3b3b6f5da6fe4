// What a credential may still ask of GitHub. The client in `github` asks before each request and tells after each answer;
// `database` keeps it in Postgres, so that all workers together obey one limit.

/** What GitHub said of the primary limit with an answer; absent on a GHES without limits. */
export type RateLimitReading = { readonly limit: number; readonly remaining: number; readonly resetAt: Date };

export interface Budget {
  /**
   * Called before each request of `credential` (an id, never the secret). Resolves when the request may start.
   * @throws RateLimitedError while the credential pauses; nothing was sent.
   */
  acquire(credential: string): Promise<void>;
  /** Called after each answer that carried rate-limit headers. */
  observe(credential: string, reading: RateLimitReading): Promise<void>;
  /** No request of `credential` starts before `until`, in any process. `reason` is shown to operators. Idempotent. */
  pause(credential: string, until: Date, reason: string): Promise<void>;
}
