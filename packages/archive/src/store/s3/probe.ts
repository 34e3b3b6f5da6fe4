// Probes what a bucket enforces. S3-compatible stores ignore headers that they do not support, and some support a header only in
// certain kinds of buckets.

import { createHash } from "node:crypto";

import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { probePrefix } from "@actions-archive/core/object-key";
import { retry } from "@actions-archive/core/retry";

import type { StoreCapabilities } from "../store.ts";
import { isTaken, statusOf } from "./failure.ts";

const body = Buffer.from("probe");
const right = { sha256: createHash("sha256").update(body).digest("hex"), contentMd5: undefined };
const other = Buffer.from("another");
const wrongSha256 = { sha256: createHash("sha256").update(other).digest("hex"), contentMd5: undefined };
const wrongMd5 = { sha256: right.sha256, contentMd5: createHash("md5").update(other).digest("base64") };
type Digests = { readonly sha256: string; readonly contentMd5: string | undefined };

export type ProbedBucket = {
  /** Sends one conditional put of the body. Throws the SDK's errors. */
  readonly send: (key: string, body: Buffer, digests: Digests) => Promise<unknown>;
  readonly head: (key: string) => Promise<{ readonly versionId?: string; readonly isLocked: boolean } | undefined>;
  /** Converts an error of the SDK to an archive error. */
  readonly failure: (error: unknown, key: string) => Error;
  /** Whether the settings request Object Lock. */
  readonly mustLock: boolean;
};

/**
 * Tests each capability by writing a few bytes under `probe/`. The keys are the same for a whole day, however often a process
 * restarts, since a bucket with Object Lock keeps them for years. Idempotent.
 * @throws PermanentError `store/refused` when the bucket cannot be written, or ignores the Object Lock headers.
 */
export async function probeBucket(bucket: ProbedBucket): Promise<StoreCapabilities> {
  const key = `${probePrefix}${new Date().toISOString().slice(0, 10)}`;
  // A put comes first: a response to HEAD has no body, so it cannot say what is wrong with the credentials.
  const conditionalPut = (await tryPut(bucket, key, right)) === "taken" || (await tryPut(bucket, key, right)) === "taken";
  const found = await bucket.head(key);
  if (found === undefined)
    throw new TransientError("store/unavailable", `${key} was written but cannot be found. It is tried again.`);
  if (bucket.mustLock && !found.isLocked) {
    throw new PermanentError(
      "store/refused",
      `${key} was written with Object Lock but is not locked: the store ignores S3_OBJECT_LOCK_MODE, or the credentials lack s3:GetObjectRetention. Grant that, use a bucket with Object Lock, or unset S3_OBJECT_LOCK_MODE and S3_OBJECT_LOCK_DAYS.`,
    );
  }
  return {
    conditionalPut,
    sha256: (await tryPut(bucket, `${key}-wrong-sha256`, wrongSha256)) === "refused",
    contentMd5: (await tryPut(bucket, `${key}-wrong-md5`, wrongMd5)) === "refused",
    objectLock: found.isLocked,
    versioned: found.versionId !== undefined,
  };
}

async function tryPut({ send, failure }: ProbedBucket, key: string, digests: Digests): Promise<"created" | "taken" | "refused"> {
  return retry(async () => {
    try {
      await send(key, body, digests);
      return "created";
    } catch (error) {
      // If the key of a body with a wrong digest exists, the store accepted that body earlier.
      if (isTaken(error)) return "taken";
      if (digests !== right && statusOf(error) === 400) return "refused";
      throw failure(error, key);
    }
  });
}
