// S3 servers for tests: s3rver in this process, and a real one named by TEST_S3_ENDPOINT. s3rver ignores conditions and writes in place, so
// guarantees of the store need the real one.

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import S3rver from "@20minutes/s3rver";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";

export type TestS3 = {
  readonly endpoint: string;
  readonly region: string;
  /** An existing bucket. */
  readonly bucket: string;
  /** Unique to this test, without slashes at its ends. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
};

/** Starts s3rver in this process, with its data in a temporary folder. Disposing removes it. Use path-style addresses. */
export async function startTestS3(): Promise<TestS3 & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), "actions-archive-s3-"));
  const bucket = "test";
  // s3rver computes the signatures of chunked bodies otherwise than a current SDK.
  const options = { silent: true, allowMismatchedSignatures: true, vhostBuckets: false };
  const server = new S3rver({ address: "127.0.0.1", port: 0, directory, configureBuckets: [{ name: bucket }], ...options });
  const { port } = await server.run();
  return {
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    bucket,
    prefix: randomPrefix(),
    // The only credentials that s3rver knows.
    accessKeyId: "S3RVER",
    secretAccessKey: "S3RVER",
    async [Symbol.asyncDispose]() {
      const closed = server.close();
      server.httpServer.closeAllConnections();
      await closed;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/**
 * The real store of TEST_S3_ENDPOINT, with its bucket (TEST_S3_BUCKET, default `actions-archive-tests`, created when missing) and the usual
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; with `isLocked`, an extra bucket with Object Lock. Undefined where
 * TEST_S3_ENDPOINT is unset.
 */
export async function realS3({ isLocked = false } = {}): Promise<TestS3 | undefined> {
  // oxlint-disable-next-line node/no-process-env -- names a server of the machine, like a global setup
  const env = process.env;
  const endpoint = env["TEST_S3_ENDPOINT"];
  if (!endpoint) return undefined;
  const s3: TestS3 = {
    endpoint,
    region: env["AWS_REGION"] ?? "us-east-1",
    bucket: (env["TEST_S3_BUCKET"] ?? "actions-archive-tests") + (isLocked ? "-locked" : ""),
    prefix: randomPrefix(),
    accessKeyId: env["AWS_ACCESS_KEY_ID"] ?? "",
    secretAccessKey: env["AWS_SECRET_ACCESS_KEY"] ?? "",
  };
  await ensureBucket(s3, isLocked);
  return s3;
}

async function ensureBucket(
  { endpoint, region, bucket, accessKeyId, secretAccessKey }: TestS3,
  isLocked: boolean,
): Promise<void> {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket, ...(isLocked ? { ObjectLockEnabledForBucket: true } : {}) }));
  } catch (error) {
    const owned = ["BucketAlreadyOwnedByYou", "BucketAlreadyExists"];
    if (!(Error.isError(error) && owned.includes(error.name))) throw error;
  } finally {
    client.destroy();
  }
}

function randomPrefix(): string {
  return `test-${randomBytes(6).toString("hex")}`;
}
