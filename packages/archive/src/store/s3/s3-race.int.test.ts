// A store that ignores If-None-Match: what a HEAD before and after each put can guarantee, and what it cannot.

import { createHash } from "node:crypto";

import { beforeEach, expect, test, vi } from "vitest";

import { openStoreProxy } from "../../../test-support/store-proxy.ts";
import { LogEncoder } from "../../log/log-format.ts";
import { putLog, readLogContent } from "../../log/logs.ts";
import { openStore, probeStore } from "../../open-store.ts";
import { findRecord, putRecord } from "../../record/records.ts";
import type { Store } from "../store.ts";

const host = "github.com";
const ref = { repository_id: 11, run_id: 22, job_id: 33 };
const key = "logs/github.com/11/22/33.log.zst";

beforeEach(() => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "S3RVER");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "S3RVER");
});

/** Two stores on one bucket that ignores conditions, and checks an MD5. */
async function openTwo() {
  await using resources = new AsyncDisposableStack();
  const front = resources.use(await openStoreProxy());
  front.checksMd5 = true;
  front.ignoresConditions = true;
  const second = resources.use(await openStore(front.settings));
  const stores: readonly [Store, Store] = [front.store, second];
  for (const store of stores) await probeStore(store);
  expect(second.capabilities).toMatchObject({ conditionalPut: false, contentMd5: true, versioned: false });
  const opened = resources.move();
  return { front, stores, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** The first writer's put reaches the store only when the second writer, who began meanwhile, has ended. */
async function overtake<T>(
  { front, stores }: Awaited<ReturnType<typeof openTwo>>,
  write: (store: Store, writer: number) => Promise<T>,
) {
  const [arrived, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  front.beforePut = () => {
    front.beforePut = () => {};
    arrived.resolve();
    return released.promise;
  };
  const first = write(stores[0], 0);
  await arrived.promise;
  const second = await write(stores[1], 1);
  released.resolve();
  return [await first, second] as const;
}

function put(store: Store, text: string) {
  const body = Buffer.from(text);
  return store.put(key, body, { sha256: createHash("sha256").update(body).digest("hex"), contentType: "text/plain" });
}

test("a put between another writer's HEAD and put is replaced by a complete object, which is not prevented", async () => {
  await using two = await openTwo();
  const outcomes = await overtake(two, (store, writer) => put(store, `writer ${writer}`));
  expect(outcomes).toEqual([{ kind: "created" }, { kind: "created" }]);
  expect((await two.front.store.read(key))?.toString()).toBe("writer 0");
});

test.each([
  ["another length", "a longer text"],
  ["the same length", "writer 1"],
])("a put that is replaced before its answer, by bytes of %s, is not called created", async (_what, other) => {
  await using two = await openTwo();
  const { front, stores } = two;
  const [landed, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const arrived = Promise.withResolvers<void>();
  front.beforePut = () => {
    front.beforePut = () => {};
    arrived.resolve();
    return landed.promise;
  };
  front.afterPut = () => {
    front.afterPut = () => released.resolve();
    landed.resolve();
    return released.promise;
  };
  const replacing = put(stores[1], other);
  await arrived.promise;
  expect(await put(stores[0], "writer 0")).toMatchObject({ kind: "exists", info: { sizeBytes: other.length } });
  expect(await replacing).toEqual({ kind: "created" });
});

test("workers that race store one log, and a record that matches it", async () => {
  await using two = await openTwo();
  const raw = Buffer.from("2026-05-01T10:00:00.1234567Z the log\n");
  const encoder = new LogEncoder();
  const written = encoder.write(raw);
  const { stored, totals } = encoder.end();
  const object = Buffer.concat([...written, ...stored]);
  await overtake(two, async (store, writer) => {
    const { key: logKey, storedBytes, storedSha256 } = await putLog(store, host, ref, object, totals);
    await putRecord(store, host, ref, {
      host,
      ...ref,
      repository: "acme/app",
      run_attempt: 1,
      last_listed_attempt: 1,
      job: { id: 33, run_id: 22 },
      job_source: "listing",
      job_received_at: "2026-05-01T10:05:00.000Z",
      log: {
        state: "archived",
        flags: [],
        key: logKey,
        version_id: null,
        raw_bytes: totals.rawBytes,
        raw_sha256: totals.rawSha256,
        stored_bytes: storedBytes,
        stored_sha256: storedSha256,
        lines: 1,
        first_time: null,
        last_time: null,
        oddities: { bom: false, crlf: 0, nul: 0, lines_without_time: 0 },
      },
      decided_at: `2026-05-01T10:06:0${writer}.000Z`,
    });
  });
  const { store } = two.front;
  expect((await Array.fromAsync(store.list(""))).map((each) => each.key).filter((name) => !name.startsWith("probe/"))).toEqual([
    key,
    "records/github.com/11/22/33.json",
  ]);
  const found = await findRecord(store, host, ref);
  const content = await readLogContent(store, key);
  expect(found?.record.log).toMatchObject({ stored_sha256: content.storedSha256, raw_sha256: content.rawSha256 });
});
