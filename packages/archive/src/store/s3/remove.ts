// The one DeleteObject that this archive ever sends: of one version, where the bucket has versions, so that what is gone is gone and
// no marker hides what is not.

import { TransientError } from "@actions-archive/core/errors";
import { DeleteObjectCommand, HeadObjectCommand, type HeadObjectCommandOutput, type S3Client } from "@aws-sdk/client-s3";

import type { RemoveOutcome } from "../store.ts";
import { type Cures, isNotFound, statusOf } from "./failure.ts";

export type RemoveRequest = {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  /** Undefined: the one that is seen under the key. */
  readonly versionId: string | undefined;
  /** The bucket locks what is put into it, as far as is known. */
  readonly isLocking: boolean;
};

export const removalCures: Cures = {
  AccessDenied:
    "To have retention and erase carried out, grant the loader's credentials s3:DeleteObject and s3:DeleteObjectVersion on the keys under logs/, and s3:GetObjectRetention where the bucket has Object Lock.",
};

/**
 * Removes once, and looks whether it is gone. Never asks to bypass a lock. Idempotent.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 * @throws what the SDK throws.
 */
export async function sendRemove(request: RemoveRequest): Promise<RemoveOutcome> {
  const { client, bucket, key, versionId } = request;
  const found = await head(request);
  if (found === undefined) return { kind: "absent" };
  // In a bucket whose versioning is suspended this is "null", which names a version, too.
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
  // A store that answers 204 and does nothing must not be believed.
  const left = await head({ ...request, versionId: VersionId });
  if (left === undefined) return { kind: "removed" };
  throw new TransientError("store/unavailable", `s3://${bucket}/${key} was removed and is still there. It is tried again.`);
}

// Stores word a lock differently: 403 at Amazon, 400 or 409 elsewhere. What HEAD says of the version decides.
function isRefusal(error: unknown): boolean {
  const status = statusOf(error);
  return status === 400 || status === 403 || status === 409;
}

/** Until when the version may not go; undefined when HEAD tells of no lock, which it does only to those who may read it. */
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
    // 405: a delete marker, which somebody else has put there; under its version id there is nothing to read.
    if (isNotFound(error) || statusOf(error) === 405) return undefined;
    throw error;
  }
}
