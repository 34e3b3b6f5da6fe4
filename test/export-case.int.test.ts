// Exports a case like an operator, and checks its folder like an auditor: with Node and without the archive.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { tryParseKey } from "@actions-archive/core/object-key";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

import { runCli } from "./support/processes.ts";
import { openSealedArchive, type SealedArchive } from "./support/sealed-archive.ts";
import { Tamperer } from "./support/tamper.ts";
import { openWorkspace, type Workspace } from "./support/workspace.ts";

const Summary = z.strictObject({
  folder: z.string(),
  files: z.int(),
  bytes: z.int(),
  manifest_sha256: z.string(),
  key_id: z.string(),
  seals: z.array(z.int()),
  jobs: z.array(z.looseObject({ job_id: z.int(), log_state: z.string(), log_reason: z.string().nullable() })),
  check_command: z.string(),
});

describe("export-case", () => {
  let workspace: Workspace;
  let archive: SealedArchive;
  let cwd: string;
  let sample: string;
  let oldKey: string;

  beforeAll(async () => {
    workspace = await openWorkspace();
    archive = await openSealedArchive();
    cwd = workspace.folder;
    for (const [index, { publicKey }] of archive.signers.entries())
      await writeFile(join(cwd, `${index}.pub`), publicKey.export({ type: "spki", format: "pem" }));
    oldKey = await readFile(join(cwd, "0.pub"), "utf8");
    // Jobs with a log, with a log and a run record, and without a log; sealed with two keys.
    sample = join(cwd, "sample");
    const exported = await run([...[6, 14, 5].map(jobAt), "--to", sample]);
    if (exported.code !== 0) throw new Error(exported.stderr);
  }, 60_000);

  afterAll(async () => {
    await archive[Symbol.asyncDispose]();
    await workspace[Symbol.asyncDispose]();
  });

  const jobAt = (index: number) => String(archive.jobIds[index]);

  async function run(args: readonly string[], key = "1.pub") {
    const settings = { ARCHIVE_URL: pathToFileURL(archive.folder).href, DATABASE_URL: archive.databaseUrl };
    return runCli(["export-case", "--public-key", key, ...args], { cwd, settings });
  }

  async function check(folder: string, ...args: readonly string[]) {
    return new Promise<{ code: number; stdout: string; stderr: string }>((done) =>
      execFile(process.execPath, [join(folder, "check.mjs"), ...args], { cwd: "/", env: {} }, (error, stdout, stderr) =>
        done({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
  }

  async function listFiles(folder: string): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
  }

  /** @returns the checker's result for a copy of the sample that `change` modified. */
  async function checkChanged(change: (folder: string) => Promise<void>, ...args: readonly string[]) {
    const folder = join(cwd, "changed");
    await rm(folder, { recursive: true, force: true });
    await cp(sample, folder, { recursive: true });
    await change(folder);
    const ended = await check(folder, ...args);
    expect(ended.stderr).not.toMatch(/^ {4}at |node:internal/m);
    return ended;
  }

  /** Updates the manifest to the folder's content, as a forger would. */
  async function forgeManifest(folder: string): Promise<void> {
    const names = (await listFiles(folder)).filter((name) => name !== "manifest.json").toSorted();
    const files = [];
    for (const path of names) {
      const bytes = await readFile(join(folder, path));
      files.push({ path, sha256: createHash("sha256").update(bytes).digest("hex"), size: bytes.length });
    }
    await writeFile(join(folder, "manifest.json"), JSON.stringify({ files, schema_version: 1 }));
  }

  test("a case of jobs under two keys holds, and every file of it is read by the checker", async () => {
    const ended = await check(sample);
    expect(ended).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/^PROVED: all \d+ files/m) });
    expect(ended.stdout).toContain(`job ${jobAt(5)} of run`);
    expect(ended.stdout).toContain("no log, absent: deleted");
    expect(await check(sample, "--public-key", join(cwd, "1.pub"))).toMatchObject({ code: 0 });
    expect(await check(sample, "--public-key", join(cwd, "0.pub"))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("seal-key.pub"),
    });
    expect(await check(sample, "--help")).toMatchObject({ code: 0, stderr: "" });
    expect(await readdir(cwd)).not.toContainEqual(expect.stringContaining("partial"));
  });

  test("the text is the log as it was served, and the summary says what the folder holds", async () => {
    const job = jobAt(7);
    const ended = await run([job, job, "--to", "deep/inside", "--json"]);
    const summary = Summary.parse(JSON.parse(ended.stdout));
    expect(summary).toMatchObject({ files: 13, jobs: [{ job_id: Number(job), log_state: "archived", log_reason: null }] });
    const folder = join(cwd, "deep/inside");
    expect(await listFiles(folder)).toHaveLength(summary.files);
    const printed = await runCli(["logs", job, "--raw"], {
      cwd,
      settings: { ARCHIVE_URL: pathToFileURL(archive.folder).href, DATABASE_URL: archive.databaseUrl },
    });
    expect(await readFile(join(folder, `jobs/${job}/${job}.log`))).toEqual(printed.stdoutBytes);
    const manifest = await readFile(join(folder, "manifest.json"));
    expect(summary.manifest_sha256).toBe(createHash("sha256").update(manifest).digest("hex"));
  });

  test("a changed byte in any file, and any file that is removed, ends with 1 and names the file", async () => {
    const files = await listFiles(sample);
    expect(files.length).toBeGreaterThan(20);
    for (const file of files) {
      // Changes the manifest in a hash, where it stays valid JSON, and the checker in a comment, where it still runs.
      const changed = await checkChanged(async (folder) => {
        const bytes = await readFile(join(folder, file));
        const at = file === "check.mjs" ? 10 : Math.floor(bytes.length / 2);
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        await writeFile(join(folder, file), bytes);
      });
      expect(changed, file).toMatchObject({ code: 1, stdout: "" });
      expect(changed.stderr, file).toContain(file === "manifest.json" ? file : `NOT PROVED: ${file} is not the file`);
      if (file === "check.mjs") continue;
      const removed = await checkChanged((folder) => rm(join(folder, file)));
      expect(removed, file).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(`${file} is`) });
    }
  }, 60_000);

  test("a file that is added, a link, and another key end with 1 and name the file", async () => {
    const added = await checkChanged((folder) => writeFile(join(folder, "jobs/extra.txt"), "x"));
    expect(added).toMatchObject({ code: 1, stderr: expect.stringContaining("jobs/extra.txt is in the folder") });
    const linked = await checkChanged((folder) => symlink("/etc/hostname", join(folder, "link")));
    expect(linked).toMatchObject({ code: 1, stderr: expect.stringContaining("link is neither a file") });
    const swapped = await checkChanged((folder) => writeFile(join(folder, "seal-key.pub"), oldKey));
    expect(swapped).toMatchObject({ code: 1, stderr: expect.stringContaining("seal-key.pub is not the file") });
  });

  test("whoever also forges the manifest is found by the seals", async () => {
    const job = jobAt(6);
    const other = jobAt(14);
    const at = (name: string) => `jobs/${job}/${name}`;
    const seal = (await listFiles(sample)).find((name) => name.startsWith("seals/")) ?? "";
    const replace = async (folder: string, file: string, from: string | RegExp, to: string) => {
      const text = await readFile(join(folder, file), "utf8");
      expect(text).not.toBe(text.replace(from, to));
      await writeFile(join(folder, file), text.replace(from, to));
    };
    const forgeries: [string, (folder: string) => Promise<void>][] = [
      [at(`${job}.log`), (folder) => replace(folder, at(`${job}.log`), "line 1 ", "LINE 1 ")],
      [at(`${job}.log.zst`), (folder) => writeFile(join(folder, at(`${job}.log.zst`)), "x")],
      [at("record.json"), (folder) => replace(folder, at("record.json"), "success", "failure")],
      [`jobs/${job}/run-record.json`, (folder) => replace(folder, at("run-record.json"), "push", "pull")],
      [at("log.proof.json"), (folder) => replace(folder, at("log.proof.json"), /"index":\d+/, '"index":9999')],
      [at("record.proof.json"), (folder) => rm(join(folder, at("record.proof.json")))],
      [at(`${job}.log`), (folder) => rm(join(folder, at(`${job}.log`)))],
      [
        at(`${job}.log.zst`),
        async (folder) => {
          for (const name of [`${job}.log`, `${job}.log.zst`, "log.proof.json"]) await rm(join(folder, at(name)));
        },
      ],
      [
        at("record.json"),
        async (folder) => {
          for (const name of ["record.json", "record.proof.json"])
            await cp(join(folder, `jobs/${other}`, name), join(folder, at(name)));
        },
      ],
      [
        seal,
        (folder) => replace(folder, seal, /.{8}(?=","payloadType":"application\/vnd\.actions-archive\.seal\+json")/, "AAAAAAA="),
      ],
      ["seal", (folder) => rm(join(folder, seal))],
      ["seals/", (folder) => writeFile(join(folder, "seal-key.pub"), oldKey)],
      ["seal-key.pub", (folder) => writeFile(join(folder, "seal-key.pub"), "no key")],
      ["notes.txt", (folder) => writeFile(join(folder, "notes.txt"), "x")],
    ];
    for (const [named, forge] of forgeries) {
      const ended = await checkChanged(async (folder) => {
        await forge(folder);
        await forgeManifest(folder);
      });
      expect(ended, `${named}: ${forge.toString()}`).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringContaining(named),
      });
    }
  }, 60_000);

  test("a manifest of any other form ends with 1", async () => {
    for (const text of [
      "",
      "null",
      "{}",
      "[1]",
      '{"files":[],"schema_version":1}',
      '{"files":[null],"schema_version":1}',
      "[".repeat(100_000),
    ]) {
      const ended = await checkChanged((folder) => writeFile(join(folder, "manifest.json"), text));
      expect(ended, text.slice(0, 40)).toMatchObject({ code: 1, stdout: "" });
    }
  });

  test("a log that was removed is exported as its record and the tombstone's seal", async () => {
    const key = archive.removed[0] ?? "";
    const parsed = tryParseKey(key);
    const job = parsed?.kind === "log" ? parsed.job_id : 0;
    const ended = await run([String(job), "--to", "removed", "--json"]);
    expect(ended.code, ended.stderr).toBe(0);
    expect(Summary.parse(JSON.parse(ended.stdout)).jobs).toMatchObject([{ log_state: "absent", log_reason: "removed" }]);
    expect(await check(join(cwd, "removed"))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("log removed by erase: a secret was printed"),
    });
  });

  test("nothing is written into a folder that is not empty, and an empty one is filled", async () => {
    await mkdir(join(cwd, "filled"));
    await writeFile(join(cwd, "filled/notes"), "mine");
    const refused = await run([jobAt(6), "--to", "filled"]);
    expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("is not empty") });
    expect(await readdir(join(cwd, "filled"))).toEqual(["notes"]);
    expect(await run([jobAt(6), "--to", "filled/notes"])).toMatchObject({ code: 2, stdout: "" });
    await mkdir(join(cwd, "empty"));
    expect(await run([jobAt(6), "--to", "empty"])).toMatchObject({ code: 0 });
  });

  test("jobs that cannot be exported are named with the reason, and leave no folder", async () => {
    const before = await readdir(cwd);
    const owed = Number(archive.jobIds.at(-1)) + 1;
    const refusals: [string[], RegExp][] = [
      [["abc"], /must be a job's id/],
      [["1"], /^No job 1 is known/],
      [[jobAt(6), "1"], /^No job 1 is known/],
      [[String(owed)], new RegExp(`^Job ${owed} of run \\d+ in acme/app has no record yet: its log is pending`)],
      [[], /missing required argument/],
    ];
    for (const [jobs, reason] of refusals) {
      const ended = await run([...jobs, "--to", "refused"]);
      expect(ended, jobs.join(" ")).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(reason) });
      expect(ended.stderr).not.toMatch(/^ {4}at /m);
    }
    expect(await run([jobAt(14), "--to", "refused"], "0.pub")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("signed neither the seals"),
    });
    await archive.ask(`update archive.objects set sealed_in = null where job_id = ${jobAt(8)} and object_key like 'records/%'`);
    expect(await run([jobAt(8), "--to", "refused"])).toMatchObject({ code: 2, stderr: expect.stringContaining("or run `seal`") });
    await archive.ask(`update archive.objects set sealed_in = 3 where job_id = ${jobAt(8)} and object_key like 'records/%'`);
    expect(await readdir(cwd)).toEqual(before);
  }, 60_000);

  test("a log that is damaged in the store is not exported", async () => {
    await using tamperer = new Tamperer(archive.folder);
    const key = archive.sampleLog;
    const bytes = Buffer.from(await tamperer.read(key));
    bytes[4] = (bytes[4] ?? 0) ^ 0x10;
    await tamperer.write(key, bytes);
    const ended = await run([jobAt(6), "--to", "damaged"]);
    expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining(key) });
    expect(await readdir(cwd)).not.toContainEqual(expect.stringContaining("damaged"));
  });
});
