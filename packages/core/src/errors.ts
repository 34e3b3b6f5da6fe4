// Three error classes, named after what happens next, and one for settings. Each package converts the errors of the system that it
// accesses; only queue.ts converts these to BullMQ's.
/** Error codes, as `noun/problem`. The comment of each member documents it for operators. */
export type ErrorCode =
  /** GitHub answered 5xx, reset the connection or did not answer in time. Retried; nothing to do. */
  | "github/unavailable"
  /** A primary or secondary limit. The credential pauses until `retryAt`; nothing to do. */
  | "github/rate-limited"
  /** 401, or 403 on the repository itself: the credential is wrong, expired or lacks Actions: read. Replace it. */
  | "github/unauthorized"
  /** 403 that is not a limit: the credential may not read this. Grant it Actions: read. */
  | "github/forbidden"
  /** 404: deleted, never existed, or not visible to this credential. */
  | "github/not-found"
  /** 410: GitHub's retention has removed it. */
  | "github/gone"
  /** A response that is not JSON or not of the documented shape. Report it. */
  | "github/unexpected-answer"
  /**
   * The Date header of GitHub's responses differs from the database's clock by more than 5 minutes, also after retries.
   * Check the clock of the GitHub server and of the database; `status` shows the difference.
   */
  | "github/clock-skew"
  /** The log's link leads to a host that GITHUB_LOG_HOSTS does not allow. Add the host if it is yours. */
  | "log/redirect-refused"
  /** The log host refused the download, or it failed. Retried with a new link. */
  | "log/upstream-error"
  /** The body was too short, too long, stalled or had no declared end. Retried. */
  | "log/incomplete"
  /** The log is larger than MAX_LOG_BYTES. Raise the setting, then `retry`. */
  | "log/too-large"
  /** The log does not exist yet, or no longer; the caller decides which. */
  | "log/not-found"
  /** The spool has no room. Raise SPOOL_MAX_BYTES or free the disk; the job is delayed. */
  | "spool/full"
  /** The store did not answer, or requested a lower rate. Retried. */
  | "store/unavailable"
  /** The store refused the request: check credentials, bucket and policy. */
  | "store/refused"
  /** An object does not match its key, length or hash. */
  | "store/corrupt"
  /** Postgres is unreachable, restarting or out of connections. Retried. */
  | "database/unavailable"
  /** Postgres refuses this row. */
  | "database/refused"
  /** A queue message that no handler can parse. */
  | "queue/unknown-payload"
  /** A setting is missing or wrong, or an engine is unusable. The process exits with 78 before any work. */
  | "config/invalid"
  /** A command was used wrongly, or names something that does not exist. */
  | "usage/invalid";

/** Base of the archive's errors. `message` states what failed, on which repository, run and job, and what to do. */
export abstract class ActionsArchiveError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** To be retried with backoff and jitter. */
export class TransientError extends ActionsArchiveError {}

/** To be retried at `retryAt`: the credential is paused and the job delayed, without using an attempt. */
export class RateLimitedError extends ActionsArchiveError {
  readonly retryAt: Date;

  constructor(message: string, retryAt: Date, options?: ErrorOptions) {
    super("github/rate-limited", message, options);
    this.retryAt = retryAt;
  }
}

/** Not to be retried: leads to a terminal state or a failed row. */
export class PermanentError extends ActionsArchiveError {}

/** Settings are wrong or an engine is unusable: exit 78. */
export class ConfigError extends ActionsArchiveError {
  constructor(message: string, options?: ErrorOptions) {
    super("config/invalid", message, options);
  }
}
