// Three classes, named by what must happen next, and one for settings. Foreign errors become one of these at the edge of
// the package that owns the system; ours become BullMQ's in queue.ts alone.
/** What an operator looks up. `noun/problem`; the comment of each member is its documentation. */
export type ErrorCode =
  /** GitHub answered 5xx, reset the connection or did not answer in time. Nothing to do: it is tried again. */
  | "github/unavailable"
  /** A primary or secondary limit. The credential pauses until `retryAt`; nothing to do. */
  | "github/rate-limited"
  /** 401, or 403 on the repository itself: the credential is wrong, expired or lacks Actions: read. Replace it. */
  | "github/unauthorized"
  /** 403 that is no limit: the credential may not read this. Grant it Actions: read. */
  | "github/forbidden"
  /** 404: deleted, never there, or not visible to this credential. */
  | "github/not-found"
  /** 410: GitHub's retention has removed it. */
  | "github/gone"
  /** An answer that the client does not understand: not JSON, or not of the documented shape. Report it. */
  | "github/unexpected-answer"
  /**
   * The Date header of GitHub's answer is over 5 minutes from the database's clock, and stayed so when the request was retried.
   * Check the clock of the GitHub server and of the database; `status` shows the difference.
   */
  | "github/clock-skew"
  /** The log's link leads to a host that GITHUB_LOG_HOSTS does not allow. Add the host if it is yours. */
  | "log/redirect-refused"
  /** The log host refused or failed the download. It is tried again with a fresh link. */
  | "log/upstream-error"
  /** The body was short, long, stalled or unframed. It is tried again. */
  | "log/incomplete"
  /** The log is larger than MAX_LOG_BYTES. Raise the setting, then `retry`. */
  | "log/too-large"
  /** The log is not there yet, or not any more; the caller decides which. */
  | "log/not-found"
  /** The spool has no room. Raise SPOOL_MAX_BYTES or free the disk; the job is delayed. */
  | "spool/full"
  /** The store did not answer, or asked to slow down. It is tried again. */
  | "store/unavailable"
  /** The store refused: credentials, bucket or policy. */
  | "store/refused"
  /** An object is not what its key, length or hash promises. */
  | "store/corrupt"
  /** Postgres is away, restarting or out of connections. It is tried again. */
  | "database/unavailable"
  /** Postgres does not take this row. */
  | "database/refused"
  /** A queue message that no handler understands. */
  | "queue/unknown-payload"
  /** A setting is missing or wrong, or an engine is refused. The process exits 78 before it does anything. */
  | "config/invalid"
  /** A command was used wrongly, or names something that is not there. */
  | "usage/invalid";

/** Base of our errors. `message` says what happened, to which repository, run and job, and what to do about it. */
export abstract class ActionsArchiveError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Try again later, with backoff and jitter. */
export class TransientError extends ActionsArchiveError {}

/** The world said when: pause the credential, delay the job, spend no attempt. */
export class RateLimitedError extends ActionsArchiveError {
  readonly retryAt: Date;

  constructor(message: string, retryAt: Date, options?: ErrorOptions) {
    super("github/rate-limited", message, options);
    this.retryAt = retryAt;
  }
}

/** Never again: a terminal state, or a failed row. */
export class PermanentError extends ActionsArchiveError {}

/** Settings are wrong or an engine is refused: exit 78. */
export class ConfigError extends ActionsArchiveError {
  constructor(message: string, options?: ErrorOptions) {
    super("config/invalid", message, options);
  }
}
