// S3 for tests: one in this process, for the wire path on any machine, and a real one where TEST_S3_ENDPOINT names it. The first
// ignores conditions and writes in place: what a store promises can be tested on the second alone.

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import S3rver from "@20minutes/s3rver";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";

export type TestS3 = {
  readonly endpoint: string;
  readonly region: string;
  /** Exists. */
  readonly bucket: string;
  /** Of this test alone, without slashes at its ends. */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
};

/** Starts npm's s3rver in this process, with its data in a temporary folder that disposing removes. Use path-style addresses. */
export async function startTestS3(): Promise<TestS3 & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), "actions-archive-s3-"));
  const bucket = "test";
  // s3rver computes other signatures than a current SDK for chunked bodies.
  const options = { silent: true, allowMismatchedSignatures: true, vhostBuckets: false };
  const server = new S3rver({ address: "127.0.0.1", port: 0, directory, configureBuckets: [{ name: bucket }], ...options });
  const { port } = await server.run();
  return {
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    bucket,
    prefix: randomPrefix(),
    // The only pair that s3rver knows.
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
 * The real store that TEST_S3_ENDPOINT names, with its bucket (TEST_S3_BUCKET, else `actions-archive-tests`, made when missing)
 * and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION as everywhere; with `isLocked`, a bucket beside it that has Object
 * Lock. Undefined where it is not set.
 */
export async function realS3({ isLocked = false } = {}): Promise<TestS3 | undefined> {
  // oxlint-disable-next-line node/no-process-env -- names a server of the machine that the tests run on, like a global set-up
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
