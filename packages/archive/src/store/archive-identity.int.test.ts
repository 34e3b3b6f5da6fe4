// archive.json is created once and prevents the mixing of two archives.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { expect, test } from "vitest";

import { openStore } from "../open-store.ts";
import { ensureArchiveIdentity } from "./archive-identity.ts";
import type { Store } from "./store.ts";

const host = "github.com";

async function openFolder(): Promise<AsyncDisposable & { readonly store: Store }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-identity-"));
  return {
    store: await openStore({ ARCHIVE_URL: pathToFileURL(path) }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

test("processes that start at once on a new store end with one identity", async () => {
  await using folder = await openFolder();
  const identities = await Promise.all(Array.from({ length: 8 }, () => ensureArchiveIdentity(folder.store, { host })));
  expect(new Set(identities.map(({ archive_id }) => archive_id)).size).toBe(1);
  expect(identities[0]).toMatchObject({ host, version: 1 });
  expect(await ensureArchiveIdentity(folder.store, { host, archiveId: identities[0]?.archive_id })).toEqual(identities[0]);
});

test("another host, or another archive's database, is refused with both names and the remedy", async () => {
  await using folder = await openFolder();
  const { archive_id } = await ensureArchiveIdentity(folder.store, { host });
  await expect(ensureArchiveIdentity(folder.store, { host: "ghe.example.com" })).rejects.toMatchObject({
    code: "config/invalid",
    message: expect.stringMatching(/github\.com.*ghe\.example\.com.*ARCHIVE_URL/),
  });
  const archiveId = "00000000-0000-4000-8000-000000000000";
  const message = expect.stringMatching(new RegExp(`${archive_id}.*${archiveId}.*DATABASE_URL`));
  await expect(ensureArchiveIdentity(folder.store, { host, archiveId })).rejects.toMatchObject({
    code: "config/invalid",
    message,
  });
});

test("an empty store under a database that has an archive is refused: its objects are elsewhere", async () => {
  await using folder = await openFolder();
  const archiveId = "00000000-0000-4000-8000-000000000000";
  await expect(ensureArchiveIdentity(folder.store, { host, archiveId })).rejects.toMatchObject({
    code: "config/invalid",
    message: expect.stringContaining("holds no archive.json"),
  });
  expect(await folder.store.head("archive.json")).toBeUndefined();
});

test("an archive.json that cannot be parsed is refused, not replaced", async () => {
  await using folder = await openFolder();
  const sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  await folder.store.put("archive.json", Buffer.alloc(0), { sha256, contentType: "application/json" });
  await expect(ensureArchiveIdentity(folder.store, { host })).rejects.toMatchObject({ code: "config/invalid" });
});
