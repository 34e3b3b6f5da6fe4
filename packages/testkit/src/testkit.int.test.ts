// The fixtures work, and every server of a test run starts on this machine.

import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Redis } from "ioredis";
import { sql } from "kysely";
import { Client } from "pg";
import { expect, test } from "vitest";

import { requireRedis } from "./require-redis.ts";
import { createTestDatabase, openTestDatabase } from "./test-database.ts";
import { realS3, startTestS3, type TestS3 } from "./test-s3.ts";

test("a test database has the schema and is seen by no other test", async () => {
  await using one = await openTestDatabase();
  await using two = await openTestDatabase();
  await sql`create table public.mine ()`.execute(one.db);

  const seen = await sql<{ mine: string | null; jobs: string | null }>`
    select to_regclass('public.mine') as mine, to_regclass('archive.migrations') as jobs`.execute(two.db);

  expect(seen.rows).toEqual([{ mine: null, jobs: "archive.migrations" }]);
});

test("databases made at the same time share one template", async () => {
  const urls = await Promise.all(Array.from({ length: 4 }, () => createTestDatabase({ migrated: true })));

  expect(new Set(urls).size).toBe(4);
});

test("an unmigrated database is empty", async () => {
  const client = new Client({ connectionString: await createTestDatabase({ migrated: false }) });
  await client.connect();
  const { rows } = await client.query("select to_regnamespace('archive') as archive");
  await client.end();

  expect(rows).toEqual([{ archive: null }]);
});

test("the test Redis refuses to evict", async () => {
  const { url, prefix } = requireRedis();
  const redis = new Redis(url);
  try {
    expect(await redis.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
    expect(prefix).not.toBe(requireRedis().prefix);
  } finally {
    await redis.quit();
  }
});

test("the S3 in this process stores and serves an object", async () => {
  await using s3 = await startTestS3();

  expect(await roundTrip(s3)).toBe("hello");
});

test("the real S3 stores and serves an object", async (context) => {
  const s3 = await realS3();
  if (!s3) {
    context.skip("TEST_S3_ENDPOINT is not set");
    return;
  }

  expect(await roundTrip(s3)).toBe("hello");
});

async function roundTrip({
  endpoint,
  region,
  bucket,
  prefix,
  accessKeyId,
  secretAccessKey,
}: TestS3): Promise<string | undefined> {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  try {
    const object = { Bucket: bucket, Key: `${prefix}/greeting` };
    await client.send(new PutObjectCommand({ ...object, Body: "hello" }));
    const { Body } = await client.send(new GetObjectCommand(object));
    return await Body?.transformToString();
  } finally {
    client.destroy();
  }
}
