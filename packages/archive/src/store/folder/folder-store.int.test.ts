// Failures of a folder store: kill -9 at any time, damage, errors of the file system.

import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, link, mkdir, mkdtemp, readdir, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { expect, test } from "vitest";

import { openStore, openStoreForReading, probeStore } from "../../open-store.ts";
import { findRecord, putRecord } from "../../record/records.ts";
import { ensureArchiveIdentity } from "../archive-identity.ts";
import type { PutOptions, Store } from "../store.ts";
import { openFolderStore } from "./folder-store.ts";

const options = (body: Buffer, metadata: Record<string, string> = {}): PutOptions => ({
  sha256: createHash("sha256").update(body).digest("hex"),
  contentType: "text/plain",
  metadata,
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string; readonly open: () => Promise<Store> }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-folder-"));
  return { path, open: () => openFolderStore(pathToFileURL(path)), [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** A process that puts objects until it is killed, and prints each key once it is stored. */
function startWriter(folder: string, name: string): { readonly child: ChildProcess; readonly stored: string[] } {
  const child = fork(join(import.meta.dirname, "../../../test-support/folder-writer.ts"), [pathToFileURL(folder).href, name], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const stored: string[] = [];
  child.on("message", (key) => typeof key === "string" && stored.push(key));
  return { child, stored };
}

test(
  "after kill -9 at any time, every object is complete, has its metadata, and all reported objects exist",
  { timeout: 300_000 },
  async () => {
    await using folder = await temporaryFolder();
    for (let round = 0; round < 12; round += 1) {
      // Two processes race for the same keys, with bodies of their own.
      const writers = ["a", "b"].map((name) => startWriter(folder.path, `${round}${name}`));
      await Promise.all(writers.map(({ child }) => once(child, "message")));
      const killAfter = 3 + round * 2;
      while (writers.some(({ stored }) => stored.length < killAfter))
        await Promise.race(writers.map(({ child }) => once(child, "message")));
      const exits = writers.map(({ child }) => once(child, "exit"));
      for (const { child } of writers) child.kill("SIGKILL");
      await Promise.all(exits);

      const store = await folder.open();
      const listed = new Set<string>();
      for await (const { key } of store.list("")) {
        listed.add(key);
        const body = await store.read(key);
        const info = await store.head(key);
        expect(info?.metadata["sha256"], key).toBe(body && createHash("sha256").update(body).digest("hex"));
      }
      for (const { stored } of writers) for (const key of stored) expect(listed.has(key), key).toBe(true);
    }
    expect((await readdir(join(folder.path, ".unfinished"))).length).toBeLessThanOrEqual(48);
  },
);

test("opening removes what crashed puts left behind, once no running put can own it", async () => {
  await using folder = await temporaryFolder();
  await folder.open();
  const [old, young] = [join(folder.path, ".unfinished", "old"), join(folder.path, ".unfinished", "young")];
  await writeFile(old, "x");
  await writeFile(young, "x");
  const twoHoursAgo = new Date(Date.now() - 2 * 60 * 60 * 1000);
  await utimes(old, twoHoursAgo, twoHoursAgo);
  await folder.open();
  expect(await readdir(join(folder.path, ".unfinished"))).toEqual(["young"]);
});

test("metadata that a lost race left is distinguished from the object's own by the bytes", async () => {
  await using folder = await temporaryFolder();
  const store = await folder.open();
  const [mine, lost] = [Buffer.from("mine"), Buffer.from("lost")];
  await store.put("a/object", mine, options(mine, { from: "mine" }));
  // As a writer leaves it that dies between its metadata and its object.
  await writeFile(join(folder.path, "a", `.object.${options(lost).sha256}.meta`), JSON.stringify({ from: "lost" }));
  expect(await store.head("a/object")).toMatchObject({ metadata: { from: "mine" }, sha256: options(mine).sha256 });
});

test("missing or damaged metadata is empty", async () => {
  await using folder = await temporaryFolder();
  const store = await folder.open();
  const body = Buffer.from("body");
  await store.put("object", body, options(body, { from: "here" }));
  const path = join(folder.path, `.object.${options(body).sha256}.meta`);
  await rm(path);
  expect(await store.head("object")).toMatchObject({ sizeBytes: 4, metadata: {} });
  await writeFile(path, "{ torn");
  expect((await store.head("object"))?.metadata).toEqual({});
});

test("a stored object's file is read-only, and foreign files in the folder are not objects", async () => {
  await using folder = await temporaryFolder();
  const store = await folder.open();
  const body = Buffer.from("body");
  await store.put("a/object", body, options(body));
  await writeFile(join(folder.path, "a", "holiday picture.jpg"), "x");
  await mkdir(join(folder.path, "lost+found"));
  await link(join(folder.path, "a", "object"), join(folder.path, "a", "copy"));
  expect((await all(store.list(""))).map(({ key }) => key)).toEqual(["a/copy", "a/object"]);
});

test("a path that leads through a file is refused at the start, with the reason", async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, "file"), "x");
  const opening = openStore({ ARCHIVE_URL: pathToFileURL(join(folder.path, "file", "archive")) });
  await expect(opening).rejects.toMatchObject({ code: "config/invalid", message: expect.stringContaining("may write to") });
});

test.skipIf(process.getuid?.() === 0)(
  "a folder that cannot be written is refused by the probe (skipped for root, who may write everywhere)",
  async () => {
    await using folder = await temporaryFolder();
    const store = await folder.open();
    await chmod(join(folder.path, ".unfinished"), 0o500);
    await expect(probeStore(store)).rejects.toMatchObject({ code: "config/invalid" });
    await chmod(join(folder.path, ".unfinished"), 0o700);
  },
);

test("a planted object of 8 GiB is refused at once, and takes no memory", async () => {
  await using folder = await temporaryFolder();
  const store = await folder.open();
  const [record, seal] = ["records/github.com/1/2/3.json", "seals/000000000001.json"];
  for (const key of [record, seal, "archive.json"]) {
    await mkdir(dirname(join(folder.path, key)), { recursive: true });
    await writeFile(join(folder.path, key), "");
    await truncate(join(folder.path, key), 8 * 1024 ** 3);
  }
  const before = process.memoryUsage().rss;
  for (const key of [record, seal, "archive.json"])
    await expect(store.read(key)).rejects.toMatchObject({ code: "store/corrupt" });
  await expect(ensureArchiveIdentity(store, { host: "github.com" })).rejects.toMatchObject({ code: "config/invalid" });
  const ref = { repository_id: 1, run_id: 2, job_id: 3 };
  expect(await findRecord(store, "github.com", ref)).toBeUndefined();
  // Its hash, which would take a minute, is in no record.
  const absence = { state: "absent", reason: "deleted", copied_from: null } as const;
  const times = { job_received_at: "2026-05-01T10:05:00Z", decided_at: "2026-05-01T10:06:00Z" };
  const attempts = { run_attempt: 1, last_listed_attempt: 1 };
  const job = { job: { id: 3, run_id: 2 }, job_source: "get" } as const;
  const absent = { host: "github.com", ...ref, repository: "acme/app", ...attempts, ...job, ...times, log: absence };
  expect(await putRecord(store, "github.com", ref, absent)).toMatchObject({ version: 2, record: { previous_sha256: null } });
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 ** 2);
});

test("a planted link is listed under its key, and never followed by a read, a write or a removal", async () => {
  await using folder = await temporaryFolder();
  await using outside = await temporaryFolder();
  const store = await folder.open();
  const body = Buffer.from("secret");
  await mkdir(join(outside.path, "3"));
  await writeFile(join(outside.path, "file"), body);
  await writeFile(join(outside.path, "3", "4.log.zst"), body);
  const linked = "logs/github.com/1/2/3.log.zst";
  const behind = "logs/github.com/1/3/4.log.zst";
  const absent = "logs/github.com/1/3/5.log.zst";
  const dangling = "logs/github.com/1/2/4.log.zst";
  await mkdir(join(folder.path, "logs/github.com/1/2"), { recursive: true });
  await symlink(join(outside.path, "file"), join(folder.path, linked));
  await symlink(join(outside.path, "nothing"), join(folder.path, dangling));
  await symlink(join(outside.path, "3"), join(folder.path, "logs/github.com/1/3"));

  const corrupt = { code: "store/corrupt", message: expect.stringContaining("symbolic link") as string };
  for (const key of [linked, behind, dangling]) {
    await expect(store.read(key)).rejects.toMatchObject(corrupt);
    await expect(store.open(key)).rejects.toMatchObject(corrupt);
    await expect(store.remove(key)).rejects.toMatchObject(corrupt);
  }
  for (const key of [linked, dangling])
    expect(await store.put(key, body, options(body))).toMatchObject({ kind: "exists", info: { key, metadata: {} } });
  for (const key of [behind, absent]) {
    await expect(store.head(key)).rejects.toMatchObject(corrupt);
    await expect(store.put(key, Buffer.from("new"), options(Buffer.from("new")))).rejects.toMatchObject(corrupt);
  }
  expect((await all(store.list("logs/"))).map(({ key }) => key)).toEqual([
    "logs/github.com/1/2/3.log.zst",
    dangling,
    "logs/github.com/1/3",
  ]);
  expect(await all(await outside.open().then((other) => other.list("")))).toHaveLength(2);
});

test("links in the path to the archive are followed, a link in place of the folder of unfinished writes is not", async () => {
  await using folder = await temporaryFolder();
  await using outside = await temporaryFolder();
  const body = Buffer.from("body");
  const key = "records/github.com/1/2/3.json";
  await symlink(folder.path, join(outside.path, "archive"));
  const store = await openFolderStore(pathToFileURL(join(outside.path, "archive")));
  expect(await store.put(key, body, options(body, { a: "b" }))).toEqual({ kind: "created" });
  expect(await store.read(key)).toEqual(body);
  const meta = join(folder.path, `records/github.com/1/2/.3.json.${options(body).sha256}.meta`);
  await writeFile(join(outside.path, "target"), JSON.stringify({ target: "elsewhere" }));
  await rm(meta);
  await symlink(join(outside.path, "target"), meta);
  expect(await store.head(key)).toMatchObject({ sizeBytes: 4, metadata: {} });

  await rm(join(folder.path, ".unfinished"), { recursive: true });
  await mkdir(join(outside.path, "old"));
  await writeFile(join(outside.path, "old", "file"), body);
  await utimes(join(outside.path, "old", "file"), 0, 0);
  await symlink(join(outside.path, "old"), join(folder.path, ".unfinished"));
  await expect(folder.open()).rejects.toMatchObject({ code: "store/corrupt" });
  expect(await readdir(join(outside.path, "old"))).toEqual(["file"]);
});

test("a folder lists foreign files, and none of its own metadata", async () => {
  await using folder = await temporaryFolder();
  const store = await folder.open();
  await store.put("logs/h/1", Buffer.from("log"), options(Buffer.from("log"), { about: "it" }));
  await writeFile(join(folder.path, "logs/h/a b"), "foreign");
  await writeFile(join(folder.path, "notes.txt"), "foreign");
  await writeFile(join(folder.path, ".DS_Store"), "foreign");
  await writeFile(join(folder.path, ".unfinished/x"), "unfinished");
  const keys = (await all((await store.listVersions("")) ?? store.list("none"))).map(({ key }) => key);
  expect(keys).toEqual([".DS_Store", "logs/h/1", "logs/h/a b", "notes.txt"]);
  expect((await all(store.list(""))).map(({ key }) => key)).toEqual(["logs/h/1", "notes.txt"]);
});

test("a folder that is opened for reading is neither created nor changed", async () => {
  await using folder = await temporaryFolder();
  const missing = pathToFileURL(join(folder.path, "none"));
  await expect(openStoreForReading({ ARCHIVE_URL: missing })).rejects.toMatchObject({ code: "store/refused" });
  await writeFile(join(folder.path, "archive.json"), "{}");
  await using store = await openStoreForReading({ ARCHIVE_URL: pathToFileURL(folder.path) });
  expect((await store.read("archive.json"))?.toString()).toBe("{}");
  expect(await readdir(folder.path)).toEqual(["archive.json"]);
});
