// Verifying a bucket, with versions and without.

import { randomBytes } from "node:crypto";

import { realS3, startTestS3, type TestS3 } from "@actions-archive/testkit/test-s3";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { expect, test, vi } from "vitest";

import { firstRecordOf, openSealedStore } from "../../test-support/sealed-store.ts";
import { signer, tombstoneOf, verify } from "../../test-support/verify-folder.ts";
import { openStore, probeStore } from "../open-store.ts";

function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: TestS3): S3Client {
  return new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
}

async function openBucket(s3: TestS3) {
  vi.stubEnv("AWS_ACCESS_KEY_ID", s3.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", s3.secretAccessKey);
  const prefix = `${s3.prefix}/${randomBytes(4).toString("hex")}`;
  const store = await openStore({
    ARCHIVE_URL: new URL(`s3://${s3.bucket}/${prefix}`),
    S3_ENDPOINT: new URL(s3.endpoint),
    S3_FORCE_PATH_STYLE: true,
  });
  await probeStore(store);
  const sealed = await openSealedStore(store);
  return { ...sealed, prefix, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

test("a store that cannot list versions is verified without them, and the result says so", async () => {
  await using server = await startTestS3();
  await using sealed = await openBucket(server);
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [], hasVersions: false, totals: { logsRead: 1 } });
  const client = clientOf(server);
  await client.send(new DeleteObjectCommand({ Bucket: server.bucket, Key: `${sealed.prefix}/${log}` }));
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${log}`] });
  client.destroy();
});

const versioned = await realS3({ isLocked: true });
test.runIf(versioned !== undefined)("in a versioned bucket, overwriting versions and delete markers are found", async () => {
  if (!versioned) return;
  await using sealed = await openBucket(versioned);
  const client = clientOf(versioned);
  const at = (key: string) => ({ Bucket: versioned.bucket, Key: `${sealed.prefix}/${key}` });
  const logs = [await sealed.addJob(10, "one\n"), await sealed.addJob(11, "two\n"), await sealed.addJob(12, "three\n")] as const;
  await sealed.addRun(1, [10, 11, 12]);
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [], hasVersions: true, totals: { logsRead: 3, runRecords: 1 } });
  // The same bytes again, as written by someone else.
  await client.send(new PutObjectCommand({ ...at(firstRecordOf(10)), Body: (await sealed.store.read(firstRecordOf(10))) ?? "" }));
  expect(await verify(sealed)).toMatchObject({ tampering: [`unexpected ${firstRecordOf(10)}`] });
  await client.send(new PutObjectCommand({ ...at(logs[0]), Body: "another" }));
  await client.send(new DeleteObjectCommand(at(logs[1])));
  const { tampering } = await verify(sealed);
  expect(tampering.toSorted()).toEqual(
    [
      `invalid ${logs[0]}`,
      `missing ${logs[1]}`,
      `unexpected ${firstRecordOf(10)}`,
      `unexpected ${logs[0]}`,
      `unexpected ${logs[1]}`,
    ].toSorted(),
  );
  client.destroy();
});

test.runIf(versioned !== undefined)("a removed log may leave a delete marker, and a version that is locked", async () => {
  if (!versioned) return;
  await using sealed = await openBucket(versioned);
  const client = clientOf(versioned);
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  await sealed.seal(signer, { tombstones: [tombstoneOf(sealed, log)] });
  await client.send(new DeleteObjectCommand({ Bucket: versioned.bucket, Key: `${sealed.prefix}/${log}` }));
  expect(await verify(sealed)).toMatchObject({ tampering: [], totals: { removed: 1 } });
  client.destroy();
});
