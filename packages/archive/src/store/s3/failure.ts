// What S3 and the way to it say, in our three classes. S3-compatible stores word their messages differently: the status and
// the error's name are all that can be relied on.

import { ActionsArchiveError, PermanentError, TransientError } from "@actions-archive/core/errors";

/**
 * Names that mean "again" whatever their status: credentials that are being renewed, bytes that changed on the way, and
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

export type Cures = Readonly<Record<string, string>>;

const cures: Cures = {
  AccessDenied:
    "Grant the credentials s3:PutObject, s3:GetObject and s3:ListBucket on the bucket (and the KMS key, if there is one).",
  InvalidAccessKeyId: "The access key is not known to this store: correct AWS_ACCESS_KEY_ID.",
  NoSuchBucket: "Make the bucket, or correct ARCHIVE_URL.",
  PermanentRedirect: "The bucket is in another region: correct AWS_REGION.",
  RequestTimeTooSkewed: "This machine's clock is wrong: set it.",
  SignatureDoesNotMatch: "The secret key is wrong: correct AWS_SECRET_ACCESS_KEY.",
};

/** The HTTP status that S3 answered with, if it answered. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("$metadata" in error)) return undefined;
  // The SDK puts `$metadata` on every error of an answer, also where it could not read the answer's body.
  return (error.$metadata as { httpStatusCode?: number } | undefined)?.httpStatusCode;
}

/** The key is taken. S3 may also say so in the body of a 200, which the SDK turns into an error of this name. */
export function isTaken(error: unknown): boolean {
  return statusOf(error) === 412 || (error instanceof Error && error.name === "PreconditionFailed");
}

/** True for 404 of the object; a missing bucket is no missing object. */
export function isNotFound(error: unknown): boolean {
  return statusOf(error) === 404 && error instanceof Error && error.name !== "NoSuchBucket";
}

/** Our error for one of the SDK's, of Node's network or of S3's; `doing` names the object and the bucket, `ownCures` what helps there. */
export function s3Failure(error: unknown, doing: string, ownCures: Cures = {}): Error {
  if (error instanceof ActionsArchiveError) return error;
  if (!(error instanceof Error)) return new TransientError("store/unavailable", `${doing}: ${String(error)}. It is tried again.`);
  const status = statusOf(error);
  const what = `${doing}: ${[status, error.name, error.message].filter(Boolean).join(" ")}.`;
  const isRefusal = status !== undefined && status >= 300 && status < 500 && status !== 408 && status !== 409 && status !== 429;
  if (isRefusal && !transientNames.has(error.name)) {
    const known: Cures = { ...cures, ...ownCures };
    const cure =
      known[error.name] ?? (status === 403 ? known["AccessDenied"] : "Correct the store's settings or the bucket's policy.");
    return new PermanentError("store/refused", `${what} ${cure}`, { cause: error });
  }
  if (error.name === "CredentialsProviderError") {
    const cure = "No credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role.";
    return new TransientError("store/unavailable", `${what} ${cure}`, { cause: error });
  }
  return new TransientError("store/unavailable", `${what} It is tried again.`, { cause: error });
}
