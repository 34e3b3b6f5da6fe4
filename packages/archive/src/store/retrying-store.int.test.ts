import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { TransientError } from "@actions-archive/core/errors";
import { expect, test, vi } from "vitest";

import { openStore } from "../open-store.ts";
import { retryingStore } from "./retrying-store.ts";

test("a read that fails three times in a row succeeds", async () => {
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-retrying-"));
  await using resources = new AsyncDisposableStack();
  resources.defer(() => rm(folder, { recursive: true }));
  const store = resources.use(await openStore({ ARCHIVE_URL: pathToFileURL(folder) }));
  const retrying = retryingStore(store);
  const away = new TransientError("store/unavailable", "not now");
  const failing = (method: "head" | "read" | "open", times: number) => {
    const spy = vi.spyOn(store, method);
    for (let time = 0; time < times; time++) spy.mockRejectedValueOnce(away);
  };
  for (const method of ["head", "read", "open"] as const) failing(method, 3);
  const key = "records/github.com/1/2/3.json";
  expect(await Promise.all([retrying.head(key), retrying.read(key), retrying.open(key)])).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  failing("read", 4);
  await expect(retrying.read(key)).rejects.toBe(away);
});
