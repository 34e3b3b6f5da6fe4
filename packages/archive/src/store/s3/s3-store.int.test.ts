// Faults of puts to S3: lost responses, refusals, errors inside a 200.

import { createHash } from "node:crypto";

import type { PutFault } from "@actions-archive/testkit/s3-proxy";
import { beforeEach, expect, test, vi } from "vitest";

import { openStoreProxy } from "../../../test-support/store-proxy.ts";
import { probeStore } from "../../open-store.ts";
import type { PutOptions } from "../store.ts";

const options = (body: Buffer, metadata: Record<string, string> = {}): PutOptions => ({
  sha256: createHash("sha256").update(body).digest("hex"),
  contentType: "text/plain",
  metadata,
});

beforeEach(() => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "S3RVER");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "S3RVER");
});

const body = Buffer.from("the log");

test("a put is one plain request with length, hash and condition, and its signature covers the bytes", async () => {
  await using front = await openStoreProxy();
  front.checksMd5 = true;
  await probeStore(front.store);
  front.requests.length = 0;
  await front.store.put("key", body, options(body, { "raw-bytes": "7" }));
  expect(front.requests).toHaveLength(1);
  expect(front.requests[0]?.headers).toMatchObject({
    "content-length": "7",
    "if-none-match": "*",
    "x-amz-checksum-sha256": createHash("sha256").update(body).digest("base64"),
    "x-amz-content-sha256": options(body).sha256,
    "x-amz-meta-raw-bytes": "7",
  });
  expect(front.requests[0]?.headers).not.toHaveProperty("content-encoding");
  expect(front.requests[0]?.headers).not.toHaveProperty("x-amz-trailer");
});

test("a put whose response was lost is recognised as its own", async () => {
  await using front = await openStoreProxy();
  await probeStore(front.store);
  front.faults.push("lose-answer");
  expect(await front.store.put("key", body, options(body))).toMatchObject({ kind: "created" });
  expect((await front.store.read("key"))?.toString()).toBe("the log");
  expect((await Array.fromAsync(front.store.list("key"))).length).toBe(1);
});

test("an object that another writer stored while the response was lost is reported as existing, and kept", async () => {
  await using front = await openStoreProxy();
  await probeStore(front.store);
  const other = Buffer.from("another");
  await front.store.put("key", other, options(other));
  front.faults.push("refuse-after-body");
  expect(await front.store.put("key", body, options(body))).toMatchObject({ kind: "exists", info: { sizeBytes: other.length } });
  expect((await front.store.read("key"))?.toString()).toBe("another");
});

test.for<PutFault>([409, 503, "error-in-200", "refuse-after-body"])(
  "a put that meets %s is tried again and succeeds",
  async (fault) => {
    await using front = await openStoreProxy();
    await probeStore(front.store);
    const before = front.puts();
    front.faults.push(fault);
    expect(await front.store.put("key", body, options(body))).toMatchObject({ kind: "created" });
    expect(front.puts() - before).toBe(2);
  },
);

test("a put with a 412 for a key that does not exist is retried", async () => {
  await using front = await openStoreProxy();
  await probeStore(front.store);
  front.faults.push(412);
  expect(await front.store.put("key", body, options(body))).toMatchObject({ kind: "created" });
});

test("a store that stays unavailable leads to a transient error, one that refuses to a permanent one", async () => {
  await using front = await openStoreProxy();
  await probeStore(front.store);
  front.faults.push(503, 503, 503);
  await expect(front.store.put("key", body, options(body))).rejects.toMatchObject({
    name: "TransientError",
    code: "store/unavailable",
  });
  front.faults.push(403);
  const before = front.puts();
  await expect(front.store.put("key", body, options(body))).rejects.toMatchObject({
    name: "PermanentError",
    code: "store/refused",
    message: expect.stringContaining("s3:PutObject"),
  });
  expect(front.puts() - before).toBe(1);
});

test("a store that refuses the probe is refused at the start, with the remedy", async () => {
  await using front = await openStoreProxy();
  front.faults.push(403);
  await expect(probeStore(front.store)).rejects.toMatchObject({
    code: "config/invalid",
    message: expect.stringContaining("Grant the credentials"),
  });
  front.faults.push(404);
  await expect(probeStore(front.store)).rejects.toMatchObject({
    code: "config/invalid",
    message: expect.stringContaining("Create the bucket"),
  });
});

test("a put that is aborted rejects with the signal's reason", async () => {
  await using front = await openStoreProxy();
  const signal = AbortSignal.abort(new Error("shutting down"));
  await expect(front.store.put("key", body, { ...options(body), signal })).rejects.toThrow("shutting down");
});

test("an unprobed store sends a HEAD before each put", async () => {
  await using front = await openStoreProxy();
  await front.store.put("key", body, options(body));
  expect(front.requests.map(({ method }) => method)).toEqual(["HEAD", "PUT"]);
});

test("a store that does not check the SHA-256 gets an MD5, and refuses bytes that changed in transit", async () => {
  await using front = await openStoreProxy();
  front.checksMd5 = true;
  expect(await probeStore(front.store)).toMatchObject({ sha256: false, contentMd5: true });
  front.faults.push("corrupt");
  expect(await front.store.put("key", body, options(body))).toMatchObject({ kind: "created" });
  expect(front.requests.at(-1)?.headers["content-md5"]).toBe(createHash("md5").update(body).digest("base64"));
  expect((await front.store.read("key"))?.toString()).toBe("the log");
});

test("a store that checks nothing is read back: a broken object never counts as stored", async () => {
  await using front = await openStoreProxy();
  expect(await probeStore(front.store)).toMatchObject({ sha256: false, contentMd5: false });
  front.faults.push("corrupt");
  await expect(front.store.put("key", body, options(body))).rejects.toMatchObject({ code: "store/corrupt" });
  expect(await front.store.put("other", body, options(body))).toMatchObject({ kind: "created" });
});

test("Object Lock and the KMS key are requested with each put, and a store that ignores the lock is refused", async () => {
  await using front = await openStoreProxy({
    S3_OBJECT_LOCK_MODE: "COMPLIANCE",
    S3_OBJECT_LOCK_DAYS: 30,
    S3_KMS_KEY_ID: "key-1",
  });
  await front.store.put("key", body, options(body));
  const { headers } = front.requests.find(({ method }) => method === "PUT") ?? {};
  expect(headers).toMatchObject({
    "x-amz-object-lock-mode": "COMPLIANCE",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
    "content-md5": createHash("md5").update(body).digest("base64"),
  });
  const until = Date.parse(String(headers?.["x-amz-object-lock-retain-until-date"]));
  expect(Math.abs(until - Date.now() - 30 * 24 * 60 * 60 * 1000)).toBeLessThan(120_000);
  await expect(probeStore(front.store)).rejects.toMatchObject({
    code: "config/invalid",
    message: expect.stringContaining("is not locked"),
  });
});
