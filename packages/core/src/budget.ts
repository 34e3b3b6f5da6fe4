// The request budget of a credential. The client in `github` acquires a permit before each request and reports the result; `database`
// stores the budget in Postgres, so all workers share one limit. Times are durations, since clocks differ. It also provides the
// database's clock, with which GitHub's dates are compared.

/** The primary limit as reported by a response; absent on a GHES without limits. */
export type RateLimitReading = {
  readonly limit: number;
  readonly used: number;
  /** GitHub's time of the reset, in seconds since 1970, which identifies the window. */
  readonly resetAtSeconds: number;
  /** Time until the reset, measured from GitHub's `Date`. */
  readonly resetInMs: number;
};

/** The result of a request. Without a reading it counts as one used request, unless it is free (a 304). */
export type RequestOutcome = { readonly reading?: RateLimitReading | undefined; readonly isFree: boolean };

/** The right to send one request immediately. */
export type Permit = {
  /** Call once when the request has ended in any way: until then it counts as concurrent. */
  readonly end: (outcome: RequestOutcome) => void;
};

export type Pause = {
  readonly waitMs: number;
  /** Shown to operators. */
  readonly reason: string;
  /** GitHub named no time, so repeated pauses get longer. */
  readonly isGuess: boolean;
};

/** The clock with which GitHub's Date headers are compared: one for all processes, since a machine's clock may be wrong. */
export interface ReferenceClock {
  /** Its last reading, advanced by this machine's monotonic clock. Undefined before the first `acquire`. */
  now(): Date | undefined;
  /** Reads the clock again. @throws TransientError `database/unavailable`. */
  read(): Promise<Date>;
  /** Records for operators that dates of an API host are refused or, if `skewMs` is undefined, accepted again. */
  recordSkew(host: string, skewMs: number | undefined): Promise<void>;
}

export interface Budget {
  /** Updated by each `acquire`. */
  readonly clock: ReferenceClock;
  /**
   * Call before each request of `credential` (an id, never the secret). Resolves when the request may start.
   * @throws RateLimitedError while the credential is paused or the wait would be too long; TransientError when the budget cannot be read.
   */
  acquire(credential: string, signal?: AbortSignal): Promise<Permit>;
  /**
   * Pauses `credential` in all processes. A longer pause that is in effect stays.
   * @returns the end of the pause by this machine's clock.
   */
  pause(credential: string, pause: Pause): Promise<Date>;
}
