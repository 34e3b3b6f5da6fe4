// The spool: its quota, its failures, and the removal of its files.

import { execFile, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, test } from "vitest";

import { openSpool, type SpoolFile, SpoolFullError } from "./spool.ts";

const MiB = 1024 * 1024;

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-spool-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

async function fill(file: SpoolFile, chunks: readonly Buffer[]): Promise<void> {
  for (const chunk of chunks) await file.write(chunk);
}

test("a small body stays in memory, a large one goes to a file, and both are returned complete", async () => {
  await using folder = await temporaryFolder();
  const spool = await openSpool({ dir: folder.path, maxBytes: 64 * MiB });
  const chunks = Array.from({ length: 9 }, () => randomBytes(MiB - 3));
  {
    await using small = spool.open(0);
    await fill(small, chunks.slice(0, 2));
    const body = await small.finish();
    expect(Buffer.isBuffer(body) && body.equals(Buffer.concat(chunks.slice(0, 2)))).toBe(true);
    expect(await readdir(folder.path)).toEqual([]);
  }
  {
    await using large = spool.open(0);
    await fill(large, chunks);
    const body = await large.finish();
    if (Buffer.isBuffer(body)) throw new Error("expected a file");
    expect(body.sizeBytes).toBe(9 * (MiB - 3));
    expect((await readFile(body.path)).equals(Buffer.concat(chunks))).toBe(true);
  }
  expect(await readdir(folder.path)).toEqual([]);
  expect(spool.reservedBytes).toBe(0);
});

test("a body that does not fit the quota is refused, and its reservation released", async () => {
  await using folder = await temporaryFolder();
  const spool = await openSpool({ dir: folder.path, maxBytes: 10 * MiB });
  {
    await using first = spool.open(6 * MiB);
    expect(() => spool.open(6 * MiB)).toThrow(SpoolFullError);
    await using second = spool.open(0);
    const chunk = randomBytes(MiB);
    await fill(second, [chunk, chunk, chunk, chunk]);
    await expect(second.write(chunk)).rejects.toMatchObject({ code: "spool/full" });
    await fill(
      first,
      Array.from({ length: 6 }, () => chunk),
    );
    await expect(first.write(chunk)).rejects.toMatchObject({ code: "spool/full" });
  }
  expect(spool.reservedBytes).toBe(0);
  expect(await readdir(folder.path)).toEqual([]);
});

test("the only file in the spool is never refused, and others are until it is disposed", async () => {
  await using folder = await temporaryFolder();
  const spool = await openSpool({ dir: folder.path, maxBytes: 2 * MiB });
  {
    await using large = spool.open(MiB);
    await using small = spool.open(0);
    await fill(
      large,
      Array.from({ length: 5 }, () => randomBytes(MiB)),
    );
    expect(spool.reservedBytes).toBe(5 * MiB);
    await expect(small.write(randomBytes(1))).rejects.toThrow(SpoolFullError);
    expect(() => spool.open(1)).toThrow(SpoolFullError);
  }
  await using next = spool.open(3 * MiB);
  expect(next.sizeBytes).toBe(0);
});

test.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
  "a full disk ends in a transient error, and what was written is removed (Linux and root only: it mounts a small disk)",
  async () => {
    await using folder = await temporaryFolder();
    const run = promisify(execFile);
    await run("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", folder.path]);
    try {
      const spool = await openSpool({ dir: folder.path, maxBytes: 64 * MiB });
      {
        await using file = spool.open(10 * MiB);
        const chunk = randomBytes(MiB);
        const filling = fill(file, [chunk, chunk, chunk, chunk, chunk, chunk, chunk, chunk]);
        await expect(filling).rejects.toMatchObject({ name: "TransientError", code: "spool/full" });
        await expect(filling).rejects.not.toThrow(SpoolFullError);
        await expect(file.finish()).rejects.toMatchObject({ code: "spool/full" });
      }
      expect(await readdir(folder.path)).toEqual([]);
      expect(spool.reservedBytes).toBe(0);
    } finally {
      await run("umount", [folder.path]);
    }
  },
);

test("a failing disk leads to a transient error, and no file remains", async () => {
  await using folder = await temporaryFolder();
  const spool = await openSpool({ dir: folder.path, maxBytes: 64 * MiB });
  {
    await using file = spool.open(0);
    await fill(
      file,
      Array.from({ length: 2 }, () => randomBytes(MiB)),
    );
    await rm(folder.path, { recursive: true });
    await expect(file.write(randomBytes(MiB))).rejects.toMatchObject({ name: "TransientError", code: "spool/full" });
    await expect(file.finish()).rejects.toMatchObject({ name: "TransientError", code: "spool/full" });
  }
  expect(spool.reservedBytes).toBe(0);
  await openSpool({ dir: folder.path, maxBytes: 1 });
});

test("files of dead processes are removed at the start, those of running ones and foreign files stay", async () => {
  await using folder = await temporaryFolder();
  const child = fork(join(import.meta.dirname, "../../test-support/spool-writer.ts"), [folder.path], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await once(child, "message");
  const [living] = await readdir(folder.path);
  const reused = `${hostname()}.${process.pid}.1.1.spool`;
  const [foreign, oldForeign] = ["other-machine.7.1.1.spool", "other-machine.8.1.1.spool"];
  for (const name of [reused, foreign, oldForeign, "notes.txt"]) await writeFile(join(folder.path, name), "x");
  const twoDaysAgo = new Date(Date.now() - 48 * 60 * 60 * 1000);
  await utimes(join(folder.path, oldForeign), twoDaysAgo, twoDaysAgo);
  await openSpool({ dir: folder.path, maxBytes: MiB });
  expect((await readdir(folder.path)).toSorted()).toEqual([foreign, "notes.txt", living ?? ""].toSorted());
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  await openSpool({ dir: folder.path, maxBytes: MiB });
  expect((await readdir(folder.path)).toSorted()).toEqual([foreign, "notes.txt"].toSorted());
});

test("a spool folder that cannot be created is a wrong setting", async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, "file"), "x");
  await expect(openSpool({ dir: join(folder.path, "file", "spool"), maxBytes: 1 })).rejects.toMatchObject({
    code: "config/invalid",
    message: expect.stringContaining("SPOOL_DIR"),
  });
});
