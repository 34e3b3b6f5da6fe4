// Maps S3 and network errors to the three error classes. Messages differ between S3-compatible stores, so only the status and the
// error's name count.

import { ActionsArchiveError, PermanentError, TransientError } from "@actions-archive/core/errors";

/**
 * Error names that are transient with any status: expired credentials, bytes corrupted in transit, and
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
const transientNames = new Set([
  "BadDigest",
  "ConditionalRequestConflict",
  "ExpiredToken",
  "ExpiredTokenException",
  "IncompleteBody",
  "InternalError",
  "OperationAborted",
  "RequestTimeout",
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "XAmzContentSHA256Mismatch",
]);

/** The remedy for each error name. */
export type Remedies = Readonly<Record<string, string>>;

const cures: Remedies = {
  AccessDenied:
    "Grant the credentials s3:PutObject, s3:GetObject and s3:ListBucket on the bucket (and the KMS key, if there is one).",
  InvalidAccessKeyId: "The store does not know the access key: correct AWS_ACCESS_KEY_ID.",
  NoSuchBucket: "Create the bucket, or correct ARCHIVE_URL.",
  PermanentRedirect: "The bucket is in another region: correct AWS_REGION.",
  RequestTimeTooSkewed: "This machine's clock is wrong: set it.",
  SignatureDoesNotMatch: "The secret key is wrong: correct AWS_SECRET_ACCESS_KEY.",
};

/** The HTTP status of S3's response; undefined if there was none. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("$metadata" in error)) return undefined;
  // The SDK sets `$metadata` on every error that has a response, even if it could not parse the body.
  return (error.$metadata as { httpStatusCode?: number } | undefined)?.httpStatusCode;
}

/** True if the key exists already. S3 may also report this in the body of a 200, which the SDK turns into an error of this name. */
export function isTaken(error: unknown): boolean {
  return statusOf(error) === 412 || (error instanceof Error && error.name === "PreconditionFailed");
}

/** True if the object does not exist; false if the bucket does not exist. */
export function isNotFound(error: unknown): boolean {
  return statusOf(error) === 404 && error instanceof Error && error.name !== "NoSuchBucket";
}

/**
 * Converts an error of the SDK, the network or S3 to an archive error. `doing` names the operation, the object and the bucket;
 * `ownCures` adds remedies for this operation.
 */
export function s3Failure(error: unknown, doing: string, ownCures: Remedies = {}): Error {
  if (error instanceof ActionsArchiveError) return error;
  if (!(error instanceof Error)) return new TransientError("store/unavailable", `${doing}: ${String(error)}. It is tried again.`);
  const status = statusOf(error);
  const what = `${doing}: ${[status, error.name, error.message].filter(Boolean).join(" ")}.`;
  const isRefusal = status !== undefined && status >= 300 && status < 500 && status !== 408 && status !== 409 && status !== 429;
  if (isRefusal && !transientNames.has(error.name)) {
    const known: Remedies = { ...cures, ...ownCures };
    const remedy =
      known[error.name] ?? (status === 403 ? known["AccessDenied"] : "Correct the store's settings or the bucket's policy.");
    return new PermanentError("store/refused", `${what} ${remedy}`, { cause: error });
  }
  if (error.name === "CredentialsProviderError") {
    const remedy = "No credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role.";
    return new TransientError("store/unavailable", `${what} ${remedy}`, { cause: error });
  }
  return new TransientError("store/unavailable", `${what} It is tried again.`, { cause: error });
}
