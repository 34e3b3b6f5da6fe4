// Runs `proof` and the checker that it prints as users do: from another folder, with broken files, and with the wrong key.

import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { runCli, type Settings } from "./support/processes.ts";
import { newKey, openSealedArchive, type SealedArchive } from "./support/sealed-archive.ts";
import { openWorkspace, type Workspace } from "./support/workspace.ts";

const checker = fileURLToPath(new URL("../docs/check-proof.mjs", import.meta.url));

describe("proof", () => {
  let workspace: Workspace;
  let archive: SealedArchive;
  const firstKey = newKey();
  let cwd: string;

  beforeAll(async () => {
    workspace = await openWorkspace();
    archive = await openSealedArchive(firstKey);
    cwd = join(workspace.folder, "it's a case");
    await mkdir(cwd);
    for (const [index, { publicKey }] of archive.signers.entries())
      await writeFile(join(cwd, `${index}.pub`), publicKey.export({ type: "spki", format: "pem" }));
  }, 60_000);

  afterAll(async () => {
    await archive[Symbol.asyncDispose]();
    await workspace[Symbol.asyncDispose]();
  });

  async function prove(args: readonly string[], settings: Settings = {}) {
    const engines = { ARCHIVE_URL: pathToFileURL(archive.folder).href, DATABASE_URL: archive.databaseUrl };
    return runCli(["proof", ...args], { cwd, settings: { ...engines, ...settings } });
  }

  async function shell(command: string) {
    return new Promise<{ code: number; stdout: string; stderr: string }>((done) =>
      execFile("/bin/sh", ["-c", command], { cwd: "/" }, (error, stdout, stderr) =>
        done({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
  }

  async function check(...args: readonly string[]) {
    return new Promise<{ code: number; stdout: string; stderr: string }>((done) =>
      execFile(process.execPath, [checker, ...args], { cwd }, (error, stdout, stderr) =>
        done({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
  }

  const jobSealedBy = (key: 0 | 1) => String(archive.jobIds[key === 0 ? 6 : 14]);

  test("the printed command checks the proof from any folder, with the key that proof wrote", async () => {
    const job = jobSealedBy(0);
    const proved = await prove([job], { SEAL_KEY: firstKey.pem.replaceAll("\n", "\\n") });
    expect(proved).toMatchObject({ code: 0, stderr: "" });
    const command = /^Check it: (.+)$/m.exec(proved.stdout)?.[1] ?? "";
    expect(await shell(command)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^PROVED: /), stderr: "" });
    const proof = join(cwd, `${job}.proof.json`);
    await writeFile(proof, (await readFile(proof, "utf8")).replace(/"size":\d/, '"size":9'));
    expect(await shell(command)).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/^NOT PROVED: [^\n]+\n$/) });
  });

  test("a seal of a later key is checked with that key, and without it proof names the command that prints it", async () => {
    const job = jobSealedBy(1);
    const without = await prove([job], { SEAL_KEY: firstKey.pem.replaceAll("\n", "\\n") });
    expect(without).toMatchObject({ code: 0, stdout: expect.stringContaining("openssl pkey -in") });
    expect(without.stdout).not.toContain("Check it");
    const withKey = await prove([job, "--public-key", "1.pub"]);
    expect(await shell(/^Check it: (.+)$/m.exec(withKey.stdout)?.[1] ?? "")).toMatchObject({ code: 0, stderr: "" });
    expect(await prove([job, "--public-key", "0.pub"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^The seal is signed with the key of SHA-256 [0-9a-f]{64}, and 0\.pub/),
    });
  });

  test("--help prints the exit codes and ends with 0", async () => {
    expect(await check("--help")).toMatchObject({ code: 0, stdout: expect.stringContaining("Exit codes"), stderr: "" });
  });

  test("wrong usage and files that cannot be read end with 2 and a sentence", async () => {
    const job = jobSealedBy(0);
    await prove([job]);
    const proof = `${job}.proof.json`;
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "pem" });
    await writeFile(join(cwd, "rsa.pub"), rsa);
    await writeFile(join(cwd, "private.pem"), firstKey.pem);
    const wrong = [
      [],
      ["--wrong"],
      [proof],
      [proof, "0.pub", "more"],
      [proof, "none.pub"],
      ["none.json", "0.pub"],
      [".", "0.pub"],
      [proof, "rsa.pub"],
      [proof, "private.pem"],
      [proof, proof],
      ["--case", "none"],
      ["--case"],
    ];
    for (const args of wrong) {
      const ended = await check(...args);
      expect(ended, args.join(" ")).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("--help") });
      expect(ended.stderr, args.join(" ")).not.toMatch(/^ {4}at /m);
    }
  });

  test("a proof of any other form ends with 1 and one sentence", async () => {
    const job = jobSealedBy(0);
    await prove([job]);
    const whole = JSON.parse(await readFile(join(cwd, `${job}.proof.json`), "utf8")) as Record<string, unknown>;
    const { entry, head } = whole as { entry: object; head: object };
    const texts = [
      "",
      "not json",
      "null",
      "[]",
      "7",
      "[".repeat(200_000),
      '{"a":'.repeat(200_000),
      ...Object.keys(whole).map((name) => JSON.stringify({ ...whole, [name]: undefined })),
      ...Object.keys(whole).flatMap((name) =>
        [null, 7, "x", {}, [[]]].map((value) => JSON.stringify({ ...whole, [name]: value })),
      ),
      JSON.stringify({ ...whole, entry: { ...entry, size: 1e300 } }),
      JSON.stringify({ ...whole, entry: { ...entry, key: { toString: 1 } } }),
      JSON.stringify({ ...whole, index: Number.MAX_SAFE_INTEGER }),
      JSON.stringify({ ...whole, path: Array.from({ length: 10_000 }, () => "0".repeat(64)) }),
      JSON.stringify({ ...whole, head: { ...head, signatures: [null] } }),
      JSON.stringify({ ...whole, head: { ...head, payload: Buffer.from("null").toString("base64") } }),
      JSON.stringify({ ...whole, extra: 1 }),
    ];
    for (const text of texts) {
      await writeFile(join(cwd, "broken.json"), text);
      const ended = await check("broken.json", "0.pub");
      expect(ended, text.slice(0, 200)).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringMatching(/^NOT PROVED: [^\n]+\n$/),
      });
    }
    await truncate(join(cwd, "broken.json"), 8 * 1024 ** 3);
    expect(await check("broken.json", "0.pub")).toMatchObject({ code: 1, stderr: expect.stringContaining("bytes") });
  }, 60_000);
});
