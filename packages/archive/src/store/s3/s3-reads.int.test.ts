// Faults in responses of S3: truncated, short, of another length, or with a changed bit. None of them is
// damage of the object, and none may be reported as such.

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { retry } from "@actions-archive/core/retry";
import type { GetFault } from "@actions-archive/testkit/s3-proxy";
import { beforeEach, describe, expect, test, vi } from "vitest";

import { type StoreProxy, openStoreProxy } from "../../../test-support/store-proxy.ts";
import { LogEncoder } from "../../log/log-format.ts";
import { putLog, readLogContent } from "../../log/logs.ts";
import { readLog, readLogRange } from "../../log/read-log.ts";
import { openStore } from "../../open-store.ts";
import { findRecord, type PassedOverRecord, putRecord } from "../../record/records.ts";
import { readFingerprint } from "../fingerprint.ts";
import { collect, type Store } from "../store.ts";

const host = "github.com";
const ref = { repository_id: 11, run_id: 22, job_id: 33 };
const body = randomBytes(100_000);
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const noFaults = [undefined, undefined];
const faults: GetFault[] = ["cut", "short", "whole", "flip", 416, 503];

beforeEach(() => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "S3RVER");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "S3RVER");
});

async function put(store: Store, key: string, bytes: Buffer): Promise<void> {
  await store.put(key, bytes, { sha256: sha256(bytes), contentType: "application/octet-stream" });
}

async function openWithObject(bytes = body): Promise<StoreProxy> {
  const front = await openStoreProxy();
  await put(front.store, "key", bytes);
  return front;
}

function encode(text: Buffer) {
  const encoder = new LogEncoder();
  const first = encoder.write(text);
  const { stored, totals } = encoder.end();
  return { object: Buffer.concat([...first, ...stored]), totals };
}

// Several frames, more than comes with the seek table.
const text = Buffer.concat(
  Array.from({ length: 60 }, (_, step) =>
    Buffer.from(`2026-05-01T10:00:00.1234567Z ##[group]step ${step}\n${randomBytes(40_000).toString("hex")}\n`),
  ),
);
const log = encode(text);

describe("a range whose answer is wrong once", () => {
  test.each(faults.filter((fault) => fault !== "flip"))("is requested again (%s)", async (fault) => {
    await using front = await openWithObject();
    front.getFaults.push(fault);
    expect(await front.store.read("key", { start: 10, end: 1_010 })).toEqual(body.subarray(10, 1_010));
    // The reader of a stream that breaks off must retry.
    if (fault !== "cut") front.getFaults.push(fault);
    const stream = await front.store.open("key", { start: 10, end: 1_010 });
    expect(stream && (await collect(stream))).toEqual(body.subarray(10, 1_010));
  });
});

test("a stream that is cut throws", async () => {
  await using front = await openWithObject();
  front.getFaults.push("cut");
  const stream = await front.store.open("key");
  await expect(stream && collect(stream)).rejects.toMatchObject({ code: "store/unavailable" });
});

test.each<GetFault>(["short", "whole", 416])(
  "a store that never returns an existing range (%s) is not reported as damage",
  async (fault) => {
    await using front = await openWithObject();
    front.getFaults.push(...Array.from({ length: 9 }, () => fault));
    await expect(front.store.read("key", { start: 10, end: 1_010 })).rejects.toMatchObject({ code: "store/unavailable" });
  },
);

test("an object that is shorter than expected, also by its HEAD, is corrupt at once", async () => {
  await using front = await openWithObject();
  const before = front.requests.length;
  await expect(front.store.read("key", { start: 99_990, end: 100_001 })).rejects.toMatchObject({ code: "store/corrupt" });
  expect(front.requests.slice(before).map(({ method }) => method)).toEqual(["GET", "HEAD"]);
});

test("a response that is larger than its kind allows is refused before its body arrives", { timeout: 10_000 }, async () => {
  await using front = await openWithObject();
  front.getFaults.push("huge");
  await expect(front.store.read("key")).rejects.toMatchObject({ code: "store/corrupt", message: /3221225472 bytes/ });
});

describe("an object that is read completely", () => {
  test.each(faults.filter((fault) => fault !== "whole" && fault !== 416))("is right when one read meets %s", async (fault) => {
    // Any bit may change and leave a document that can be parsed.
    await using front = await openWithObject(Buffer.from(`{"name":"${"x".repeat(10_000)}"}`));
    front.getFaults.push(fault);
    expect(JSON.parse((await front.store.read("key"))?.toString() ?? "")).toEqual({ name: "x".repeat(10_000) });
  });

  test("costs one GET where its ETag is its MD5, and two where it is something else", async () => {
    for (const [headers, gets] of [
      [{ etag: `"${createHash("md5").update(body).digest("hex")}"` }, 1],
      [{ etag: `"${"0".repeat(32)}"`, "x-amz-server-side-encryption": "aws:kms" }, 1],
      [{ etag: `"${"0".repeat(32)}-2"` }, 1],
      [{ etag: `"${"0".repeat(32)}"` }, 2],
    ] as const) {
      let asked = 0;
      await using server = createServer((_request, response) => {
        asked++;
        response.writeHead(200, { ...headers, "content-length": body.length }).end(body);
      });
      await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
      // A server that was given a port has an address with one.
      const { port } = server.address() as AddressInfo;
      await using store = await openStore({
        ARCHIVE_URL: new URL("s3://bucket/archive"),
        S3_ENDPOINT: new URL(`http://127.0.0.1:${port}`),
        S3_FORCE_PATH_STYLE: true,
      });
      expect(await store.read("key")).toEqual(body);
      expect(asked).toBe(gets);
    }
  });
});

describe("the fingerprint of an object", () => {
  const expected = { size: body.length, sha256: sha256(body) };

  test.each(faults.filter((fault) => fault !== 416 && fault !== "whole"))("is right when one read meets %s", async (fault) => {
    for (const known of [expected, undefined]) {
      await using front = await openWithObject();
      front.getFaults.push(fault);
      expect(await readFingerprint(front.store, "key", known && { expected: known })).toEqual(expected);
      front.getFaults.push(undefined, fault);
      expect(await readFingerprint(front.store, "key", known && { expected: known })).toEqual(expected);
    }
  });

  test.each<GetFault>(["short", "flip"])("is an error when every read meets %s", async (fault) => {
    await using front = await openWithObject();
    front.getFaults.push(...Array.from({ length: 12 }, (_, index) => (fault === "flip" && index % 2 ? "cut" : fault)));
    await expect(readFingerprint(front.store, "key", { expected })).rejects.toMatchObject({ code: "store/unavailable" });
  });

  test("costs one GET where nothing is wrong, and is undefined for what is not there", async () => {
    await using front = await openWithObject();
    const before = front.requests.length;
    await readFingerprint(front.store, "key", { expected });
    expect(front.requests.length - before).toBe(1);
    expect(await readFingerprint(front.store, "none", { expected })).toBeUndefined();
  });
});

describe("an existing log", () => {
  test.each(faults)("is recognised when a read meets %s, and no extra log is stored", async (fault) => {
    await using front = await openStoreProxy();
    const first = await putLog(front.store, host, ref, log.object, log.totals);
    for (const index of [0, 1, 2]) {
      front.getFaults.length = 0;
      front.getFaults.push(...noFaults.slice(0, index), fault);
      // The caller must retry a stream that breaks off: the queue delivers the job again.
      const again = await retry(() => putLog(front.store, host, ref, log.object, log.totals), { minTimeoutMs: 1 });
      expect(again).toEqual({ ...first, existing: true });
    }
    expect(await Array.fromAsync(front.store.list("logs/"))).toHaveLength(1);
  });

  test("is read correctly when a byte changes in transit, in its table or in a frame", async () => {
    await using front = await openStoreProxy();
    const { key } = await putLog(front.store, host, ref, log.object, log.totals);
    for (const index of [0, 1]) {
      front.getFaults.push(...noFaults.slice(0, index), "flip");
      expect(sha256(await collect(readLog(front.store, key)))).toBe(sha256(text));
    }
    front.getFaults.push(undefined, "flip");
    expect((await collect(readLogRange(front.store, key, { start: 5, end: 500 }))).equals(text.subarray(5, 500))).toBe(true);
  });

  test("that is damaged is reported after two reads", async () => {
    await using front = await openStoreProxy();
    const damaged = Buffer.from(log.object);
    damaged.writeUInt8(damaged.readUInt8(1_000) ^ 1, 1_000);
    await put(front.store, "logs/github.com/11/22/33.log.zst", damaged);
    const reading = readLogContent(front.store, "logs/github.com/11/22/33.log.zst");
    await expect(reading).rejects.toMatchObject({ code: "store/corrupt", message: /33\.log\.zst.*cannot be decoded/ });
  });
});

test.each<GetFault>(["cut", "short", 503])(
  "a record whose read meets %s is not skipped, and no second version is written",
  async (fault) => {
    await using front = await openStoreProxy();
    const record = {
      host,
      ...ref,
      repository: "acme/app",
      run_attempt: 1,
      last_listed_attempt: 1,
      job: { id: 33, run_id: 22 },
      job_source: "listing" as const,
      job_received_at: "2026-05-01T10:05:00.000Z",
      log: { state: "absent" as const, reason: "deleted" as const, copied_from: null },
      decided_at: "2026-05-01T10:06:00.000Z",
    };
    const { created: _, ...first } = await putRecord(front.store, host, ref, record);
    front.getFaults.push(fault);
    const passedOver = vi.fn<(passedOver: PassedOverRecord) => void>();
    expect(await findRecord(front.store, host, ref, passedOver)).toEqual(first);
    front.getFaults.push(fault);
    expect(await putRecord(front.store, host, ref, record)).toEqual({ ...first, created: false });
    front.getFaults.push(...Array.from({ length: 40 }, () => "short" as const));
    await expect(findRecord(front.store, host, ref, passedOver)).rejects.toMatchObject({ code: "store/unavailable" });
    expect(passedOver).not.toHaveBeenCalled();
  },
);
