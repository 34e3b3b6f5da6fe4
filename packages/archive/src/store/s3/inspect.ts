// Reads how a bucket is configured, for `doctor`. The probe tries what the bucket enforces; this asks what it is set to.

import {
  GetBucketEncryptionCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  type S3Client,
} from "@aws-sdk/client-s3";

import type { StoreSettings } from "../../open-store.ts";
import { createS3Client } from "./client.ts";
import { statusOf } from "./failure.ts";

/** What the store answered to one question about the bucket; `unknown` where it refused, or does not implement the call. */
export type BucketAnswer<T> = { readonly known: true; readonly value: T } | { readonly known: false; readonly reason: string };

export type BucketSettings = {
  readonly objectLock: BucketAnswer<boolean>;
  readonly versioning: BucketAnswer<"Enabled" | "Suspended" | "off">;
  /** The algorithm, such as `AES256` or `aws:kms`; undefined when none is set. */
  readonly encryption: BucketAnswer<string | undefined>;
  /** Whether all four blocks of public access are on. */
  readonly blocksPublicAccess: BucketAnswer<boolean>;
};

/** Reads the bucket's settings; each question fails by itself. Writes nothing. */
export async function inspectBucket(settings: StoreSettings): Promise<BucketSettings> {
  const client = createS3Client({ endpoint: settings.S3_ENDPOINT, forcePathStyle: settings.S3_FORCE_PATH_STYLE });
  const Bucket = settings.ARCHIVE_URL.hostname;
  try {
    const [objectLock, versioning, encryption, blocksPublicAccess] = await Promise.all([
      readSetting(() => isLockEnabled(client, Bucket), { ObjectLockConfigurationNotFoundError: false }),
      readSetting(async () => (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status ?? "off", {}),
      readSetting(() => readAlgorithm(client, Bucket), { ServerSideEncryptionConfigurationNotFoundError: undefined }),
      readSetting(() => blocksAllPublicAccess(client, Bucket), { NoSuchPublicAccessBlockConfiguration: false }),
    ]);
    return { objectLock, versioning, encryption, blocksPublicAccess };
  } finally {
    client.destroy();
  }
}

async function isLockEnabled(client: S3Client, Bucket: string): Promise<boolean> {
  const { ObjectLockConfiguration } = await client.send(new GetObjectLockConfigurationCommand({ Bucket }));
  return ObjectLockConfiguration?.ObjectLockEnabled === "Enabled";
}

async function readAlgorithm(client: S3Client, Bucket: string): Promise<string | undefined> {
  const { ServerSideEncryptionConfiguration } = await client.send(new GetBucketEncryptionCommand({ Bucket }));
  return ServerSideEncryptionConfiguration?.Rules?.[0]?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm;
}

async function blocksAllPublicAccess(client: S3Client, Bucket: string): Promise<boolean> {
  const { PublicAccessBlockConfiguration: block } = await client.send(new GetPublicAccessBlockCommand({ Bucket }));
  return [block?.BlockPublicAcls, block?.BlockPublicPolicy, block?.IgnorePublicAcls, block?.RestrictPublicBuckets].every(Boolean);
}

// S3 answers a setting that was never made with an error of its own name.
async function readSetting<T>(read: () => Promise<T>, absent: Readonly<Record<string, T>>): Promise<BucketAnswer<T>> {
  try {
    return { known: true, value: await read() };
  } catch (error) {
    const name = error instanceof Error ? error.name : String(error);
    if (name in absent) return { known: true, value: absent[name] as T };
    return { known: false, reason: `${statusOf(error) ?? "no answer"} ${name}` };
  }
}
