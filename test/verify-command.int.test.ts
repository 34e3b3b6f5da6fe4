// The output and the exit codes of `verify`.

import { cp, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { archiveIdentityKey, sealKey } from "@actions-archive/core/object-key";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

import { runCli, type Settings } from "./support/processes.ts";
import { newKey, openSealedArchive, type SealedArchive } from "./support/sealed-archive.ts";
import { Tamperer } from "./support/tamper.ts";
import { openWorkspace, type Workspace } from "./support/workspace.ts";

const Document = z.object({
  verdict: z.enum(["clean", "tampered"]),
  head: z.object({ sequence: z.int(), sha256: z.string() }).nullable(),
  seals: z.int(),
  seals_by_hash: z.int(),
  checked_seals: z.int(),
  logs_checked: z.int(),
  logs_read: z.int(),
  rows_compared: z.int().nullable(),
  findings: z.array(z.object({ verdict: z.string(), key: z.string(), detail: z.string() })),
  notices: z.array(z.object({ verdict: z.string(), key: z.string(), detail: z.string() })),
});

describe("verify", () => {
  let workspace: Workspace;
  let archive: SealedArchive;
  let head: string;

  beforeAll(async () => {
    workspace = await openWorkspace();
    archive = await openSealedArchive();
    for (const [index, { publicKey }] of archive.signers.entries())
      await writeFile(join(workspace.folder, `${index}.pub`), publicKey.export({ type: "spki", format: "pem" }));
    const { document } = await verify(["--public-key", "0.pub"]);
    head = `${document.head?.sequence}:${document.head?.sha256}`;
  }, 60_000);

  afterAll(async () => {
    await archive[Symbol.asyncDispose]();
    await workspace[Symbol.asyncDispose]();
  });

  async function run(args: readonly string[], settings: Settings = {}) {
    const ARCHIVE_URL = pathToFileURL(archive.folder).href;
    return runCli(["verify", ...args], { cwd: workspace.folder, settings: { ARCHIVE_URL, ...settings } });
  }

  async function verify(args: readonly string[], settings: Settings = {}) {
    const ended = await run([...args, "--json"], settings);
    return { ...ended, document: Document.parse(JSON.parse(ended.stdout)) };
  }

  test("an untouched archive is clean, and the text shows the head, with the advice to record it elsewhere", async () => {
    const { code, stdout } = await run(["--public-key", "0.pub"]);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/CLEAN: .*\nHead: 8:[0-9a-f]{64}\nThe chain's end is not anchored/),
    });
    expect(stdout).toMatch(/Removed by decision, with a tombstone: 2 logs/);
    expect(stdout).toMatch(/known gaps: \d/);
  });

  test("an expected head that is missing from the chain is tampering", async () => {
    const anchored = await run(["--public-key", "0.pub", "--expect-head", head]);
    expect(anchored).toMatchObject({ code: 0, stdout: expect.not.stringContaining("not anchored") });
    const later = await verify(["--public-key", "0.pub", "--expect-head", `9:${"0".repeat(64)}`]);
    expect(later).toMatchObject({ code: 1, document: { findings: [{ verdict: "missing", key: sealKey(9) }] } });
    const other = await verify(["--public-key", "0.pub", "--expect-head", `3:${"0".repeat(64)}`]);
    expect(other).toMatchObject({ code: 1, document: { findings: [{ verdict: "invalid", key: sealKey(3) }] } });
  });

  test("a later key of the chain vouches for the seals before it by their hashes, and their number is printed", async () => {
    const { code, document } = await verify(["--public-key", "1.pub"]);
    expect({ code, document }).toMatchObject({
      code: 0,
      document: { verdict: "clean", seals: 8, seals_by_hash: 3, findings: [] },
    });
    await using tamperer = new Tamperer(archive.folder);
    await tamperer.write(sealKey(2), await tamperer.read(sealKey(1)));
    expect(await verify(["--public-key", "1.pub"])).toMatchObject({ code: 1, document: { findings: [{ key: sealKey(2) }] } });
  });

  test("a stranger's key verifies nothing, and that is tampering", async () => {
    const pem = newKey().signer.publicKey.export({ type: "spki", format: "pem" });
    await writeFile(join(workspace.folder, "stranger.pub"), pem);
    const { code, document } = await verify(["--public-key", "stranger.pub"]);
    expect({ code, document }).toMatchObject({ code: 1, document: { verdict: "tampered", head: null } });
  });

  test("the sealing key itself, as the loader has it, needs no public key", async () => {
    const key = newKey();
    await using sealed = await openSealedArchive(key);
    const ARCHIVE_URL = pathToFileURL(sealed.folder).href;
    await writeFile(join(workspace.folder, "seal.pem"), key.pem);
    expect(await run([], { ARCHIVE_URL, SEAL_KEY: key.pem.replaceAll("\n", "\\n") })).toMatchObject({ code: 0 });
    expect(await run([], { ARCHIVE_URL, SEAL_KEY_FILE: "seal.pem" })).toMatchObject({ code: 0 });
    await mkdir(join(workspace.folder, ".actions-archive"), { recursive: true });
    await rename(join(workspace.folder, "seal.pem"), join(workspace.folder, ".actions-archive/seal-key.pem"));
    expect(await run([], { ARCHIVE_URL })).toMatchObject({ code: 0 });
    await rm(join(workspace.folder, ".actions-archive"), { recursive: true });
  });

  test("without a key it ends with 2 and names the command that prints one", async () => {
    expect(await run([])).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("openssl pkey -in") });
    await writeFile(join(workspace.folder, "rsa.pub"), "no key");
    expect(await run(["--public-key", "rsa.pub"])).toMatchObject({ code: 2, stderr: expect.stringContaining("rsa.pub") });
  });

  test("a store that cannot be read ends with 2, never with 1, and no folder is made", async () => {
    const ARCHIVE_URL = pathToFileURL(join(workspace.folder, "none")).href;
    expect(await run(["--public-key", "0.pub"], { ARCHIVE_URL })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("does not exist"),
    });
    expect(await readdir(workspace.folder)).not.toContain("none");
    const unreachable = {
      ARCHIVE_URL: "s3://bucket",
      S3_ENDPOINT: "http://127.0.0.1:1",
      AWS_ACCESS_KEY_ID: "x",
      AWS_SECRET_ACCESS_KEY: "x",
    };
    expect(await run(["--public-key", "0.pub"], unreachable)).toMatchObject({ code: 2, stdout: "" });
  });

  test("an archive without a seal cannot be verified, an empty one needs not be, and a chain that is gone is found by its expected head", async () => {
    const folder = join(workspace.folder, "unsealed");
    await cp(archive.folder, folder, { recursive: true, preserveTimestamps: true });
    await rm(join(folder, "seals"), { recursive: true });
    const ARCHIVE_URL = pathToFileURL(folder).href;
    expect(await run(["--public-key", "0.pub"], { ARCHIVE_URL })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no seal"),
    });
    expect(await verify(["--public-key", "0.pub", "--expect-head", head], { ARCHIVE_URL })).toMatchObject({ code: 1 });
    for (const name of ["logs", "records", "runs"]) await rm(join(folder, name), { recursive: true });
    expect(await readdir(folder)).toContain(archiveIdentityKey);
    expect(await run(["--public-key", "0.pub"], { ARCHIVE_URL })).toMatchObject({ code: 0 });
  });

  test("a copy without metadata and times is clean, and reported as a copy", async () => {
    const folder = join(workspace.folder, "copy");
    await cp(archive.folder, folder, { recursive: true, filter: (path) => !path.endsWith(".meta") });
    const { code, stdout } = await run(["--public-key", "0.pub", "--deep"], { ARCHIVE_URL: pathToFileURL(folder).href });
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Without metadata, as in a copy: \d+ logs/),
    });
  });

  test("a flipped bit of a log is found by reading it, and the object is named", async () => {
    const key = archive.sampleLog;
    await using tamperer = new Tamperer(archive.folder);
    const bytes = Buffer.from(await tamperer.read(key));
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await tamperer.write(key, bytes);
    expect(await verify(["--public-key", "0.pub"])).toMatchObject({ code: 0, document: { logs_read: 0 } });
    expect(await verify(["--public-key", "0.pub", "--deep"])).toMatchObject({
      code: 1,
      document: { verdict: "tampered", findings: [{ verdict: "invalid", key }] },
    });
    const text = await run(["--public-key", "0.pub", "--sample", "100%"]);
    expect(text).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(new RegExp(`invalid: 1\\n {2}${RegExp.escape(key)}: [^]*TAMPERED: 1 finding`)),
    });
  });

  test("a span checks what its seals hold, and walks the chain whole", async () => {
    const nothing = await verify(["--public-key", "0.pub", "--until", "2026-01-01"]);
    expect(nothing).toMatchObject({ code: 0, document: { seals: 8, checked_seals: 0, logs_checked: 0 } });
    const all = await verify(["--public-key", "0.pub", "--since", "1"]);
    expect(all).toMatchObject({ code: 0, document: { seals: 8, checked_seals: 8 } });
  });

  test("rows are compared with the store when asked for, and an edited one ends with 1", async () => {
    const settings = { DATABASE_URL: archive.databaseUrl };
    const clean = await verify(["--public-key", "0.pub", "--against-database"], settings);
    expect(clean).toMatchObject({ code: 0, document: { findings: [], rows_compared: expect.any(Number) } });
    const [job] = archive.jobIds;
    await archive.ask(`update archive.jobs set conclusion = 'cancelled' where job_id = ${job}`);
    const edited = await verify(["--public-key", "0.pub", "--against-database"], settings);
    expect(edited).toMatchObject({ code: 1, document: { findings: [{ verdict: "invalid", key: `archive.jobs ${job}` }] } });
    await archive.ask(`update archive.jobs set conclusion = 'success' where job_id = ${job}`);
  });

  test.for([
    ["--sample", "0"],
    ["--sample", "101%"],
    ["--expect-head", "1:abc"],
    ["--since", "yesterday"],
  ])("%s %s is wrong usage", async (args) => {
    expect(await run(["--public-key", "0.pub", ...args])).toMatchObject({ code: 2, stdout: "" });
  });
});
