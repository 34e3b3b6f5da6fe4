// What a credential may still ask of GitHub. The client in `github` asks before each request and tells after each answer;
// `database` keeps it in Postgres, so that all workers together obey one limit. Times are spans, since clocks differ. With it comes
// the database's clock, which GitHub's dates are compared with.

/** What GitHub said of the primary limit with an answer; absent on a GHES without limits. */
export type RateLimitReading = {
  readonly limit: number;
  readonly used: number;
  /** GitHub's own time of the reset, in seconds since 1970: it tells one window from the next. */
  readonly resetAtSeconds: number;
  /** From now until the reset, measured against GitHub's `Date`. */
  readonly resetInMs: number;
};

/** How a request ended. Without a reading it counts as used, unless it is known to be free (a 304). */
export type RequestOutcome = { readonly reading?: RateLimitReading | undefined; readonly isFree: boolean };

/** The right to send one request, at once. */
export type Permit = {
  /** To be called once when the request is over, however it ended: until then it counts as one of those at once. */
  readonly end: (outcome: RequestOutcome) => void;
};

export type Pause = {
  readonly waitMs: number;
  /** Shown to operators. */
  readonly reason: string;
  /** GitHub named no time: each repetition waits longer. */
  readonly isGuess: boolean;
};

/** The clock that the Date headers of GitHub's answers are compared with: one for all processes, since a machine's own may be wrong. */
export interface ReferenceClock {
  /** Its last reading, moved on by this machine's monotonic clock. Undefined before the first `acquire`. */
  now(): Date | undefined;
  /** Reads it again. @throws TransientError `database/unavailable`. */
  read(): Promise<Date>;
  /** Records for operators that the dates of an API host are refused; with undefined, that they are accepted again. */
  recordSkew(host: string, skewMs: number | undefined): Promise<void>;
}

export interface Budget {
  /** Read with each `acquire`. */
  readonly clock: ReferenceClock;
  /**
   * Called before each request of `credential` (an id, never the secret). Resolves when the request may start.
   * @throws RateLimitedError while the credential pauses, or when no turn is near; TransientError where the budget cannot be asked. Nothing was sent.
   */
  acquire(credential: string, signal?: AbortSignal): Promise<Permit>;
  /**
   * No request of `credential` starts for so long, in any process. A longer pause stays as it is.
   * @returns when the pause ends, by this machine's clock.
   */
  pause(credential: string, pause: Pause): Promise<Date>;
}
