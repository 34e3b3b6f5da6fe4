// Sends DeleteObject. In a versioned bucket it names one version, which removes the data; a delete marker would only hide it.

import { TransientError } from "@actions-archive/core/errors";
import { DeleteObjectCommand, HeadObjectCommand, type HeadObjectCommandOutput, type S3Client } from "@aws-sdk/client-s3";

import type { RemoveOutcome } from "../store.ts";
import { type Remedies, isNotFound, statusOf } from "./failure.ts";

export type RemoveRequest = {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  /** Undefined: the latest version. */
  readonly versionId: string | undefined;
  /** Whether the bucket is known to lock new objects. */
  readonly isLocking: boolean;
};

export const removalRemedies: Remedies = {
  AccessDenied:
    "For retention and erase, grant the loader's credentials s3:DeleteObject and s3:DeleteObjectVersion on the keys under logs/, and s3:GetObjectRetention if the bucket has Object Lock.",
};

/**
 * Removes the object once and checks that it is gone. Never bypasses a lock. Idempotent.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 * @throws the SDK's errors; TransientError when the object still exists.
 */
export async function sendRemove(request: RemoveRequest): Promise<RemoveOutcome> {
  const { client, bucket, key, versionId } = request;
  const found = await head(request);
  if (found === undefined) return { kind: "absent" };
  // "null" in a bucket with suspended versioning, which is a valid version id.
  const VersionId = versionId ?? found.VersionId;
  try {
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, ...(VersionId === undefined ? {} : { VersionId }) }));
  } catch (error) {
    if (isNotFound(error)) return { kind: "absent" };
    const lock = isRefusal(error) ? lockOf(found) : undefined;
    if (lock !== undefined) return lock;
    if (statusOf(error) === 403 && request.isLocking && found.ObjectLockRetainUntilDate === undefined)
      return { kind: "retained" };
    throw error;
  }
  // Some stores answer 204 without removing anything.
  const left = await head({ ...request, versionId: VersionId });
  if (left === undefined) return { kind: "removed" };
  throw new TransientError("store/unavailable", `s3://${bucket}/${key} was removed but still exists. It is tried again.`);
}

// Stores report a lock differently: Amazon with 403, others with 400 or 409. The lock headers of the HEAD decide.
function isRefusal(error: unknown): boolean {
  const status = statusOf(error);
  return status === 400 || status === 403 || status === 409;
}

/** The lock in the HEAD; undefined if there is none, or if the credentials may not read locks. */
function lockOf({
  ObjectLockRetainUntilDate: until,
  ObjectLockLegalHoldStatus: legalHold,
}: HeadObjectCommandOutput): Extract<RemoveOutcome, { kind: "retained" }> | undefined {
  if (legalHold === "ON") return { kind: "retained" };
  return until !== undefined && until.getTime() > Date.now() ? { kind: "retained", until } : undefined;
}

async function head({ client, bucket, key, versionId }: RemoveRequest): Promise<HeadObjectCommandOutput | undefined> {
  try {
    return await client.send(
      new HeadObjectCommand({ Bucket: bucket, Key: key, ...(versionId === undefined ? {} : { VersionId: versionId }) }),
    );
  } catch (error) {
    // 405: the version is a delete marker, which the archive does not create; it has no content.
    if (isNotFound(error) || statusOf(error) === 405) return undefined;
    throw error;
  }
}
