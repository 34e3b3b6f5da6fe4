// Settings that name another host than the archive's: writes are refused, and seals of a wrong host can be corrected by a further seal.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { verifySeal } from "@actions-archive/archive/seal/seal-envelope";
import { createLogger } from "@actions-archive/core/logger";
import { sealKey } from "@actions-archive/core/object-key";
import { findIdentity } from "@actions-archive/database/ledger/identity";
import { sealArchive } from "@actions-archive/loader/seal/seal-archive";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { firstJobId, openFilledArchive } from "./support/filled-archive.ts";
import { runCli, type Settings } from "./support/processes.ts";
import { newKey } from "./support/sealed-archive.ts";
import { openWorkspace, simulatedHost } from "./support/workspace.ts";

async function openSealable() {
  await using resources = new AsyncDisposableStack();
  const workspace = resources.use(await openWorkspace());
  const archive = resources.use(await openFilledArchive(workspace));
  const key = newKey();
  await writeFile(join(workspace.folder, "seal.pub"), key.signer.publicKey.export({ type: "spki", format: "pem" }));
  const run = (args: readonly string[], settings: Settings = {}) =>
    runCli(args, { ...archive.options, settings: { ...archive.options.settings, SEAL_KEY: key.pem, ...settings } });
  await archive.archive({ job_id: firstJobId }, "text\n");
  const opened = resources.move();
  return { ...archive, workspace, key, run, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

const elsewhere = { GITHUB_API_URL: "https://ghes.example.com/api/v3" };
const verify = ["verify", "--public-key", "seal.pub"];

test("seal takes the host from the archive, and what it seals verifies", async () => {
  await using archive = await openSealable();
  const sealed = await archive.run(["seal"]);
  expect(sealed, sealed.stderr).toMatchObject({ code: 0 });
  const bytes = (await archive.store.read(sealKey(1))) ?? Buffer.alloc(0);
  expect(verifySeal(bytes, archive.key.signer.publicKey, "seal 1").seal.host).toBe(simulatedHost);
  expect(await archive.run(verify)).toMatchObject({ code: 0, stdout: expect.stringContaining("CLEAN") as string });
});

test("what writes is refused with 78 where the settings name another host, and changes nothing", async () => {
  await using archive = await openSealable();
  const commands = [
    ["seal"],
    ["hold", String(firstJobId)],
    ["erase", String(firstJobId), "--reason", "why", "--yes"],
    ["retention", "set", "acme", "--keep-days", "1", "--yes"],
    ["retry"],
    ["backfill", "pause", "1"],
    ["backfill", "acme/app"],
    ["start", "--once"],
  ];
  const credential = { GITHUB_TOKEN: "ghp_never0000", ARCHIVE_REPOSITORIES: "acme/app" };
  const refuse = async (command: readonly string[], settings: Settings) => {
    const { code, stderr, stdout } = await archive.run(command, { ...credential, ...settings });
    expect({ command, code }, stderr + stdout).toEqual({ command, code: 78 });
    expect(stderr + stdout).toContain("ghes.example.com");
    expect(stderr + stdout).toContain(simulatedHost);
  };
  for (const command of commands) await refuse(command, elsewhere);
  await refuse(["seal"], { GITHUB_HOST: "ghes.example.com" });
  const fresh = { DATABASE_URL: await createTestDatabase({ migrated: true }) };
  expect(await archive.run(["rebuild"], { ...elsewhere, ...fresh })).toMatchObject({ code: 78 });
  expect(await archive.store.read(sealKey(1))).toBeUndefined();
  // Commands that only read work.
  expect(await archive.run(["hold"], elsewhere)).toMatchObject({ code: 0, stdout: "Nothing is on hold.\n" });
});

test("seals of another host are corrected by a seal that names them; verify shows it, and rebuild follows it", async () => {
  await using archive = await openSealable();
  const { run, key } = archive;
  expect(await run(["seal"])).toMatchObject({ code: 0 });
  // As seals were made when the settings decided the host.
  const identity = await findIdentity(archive.db);
  const sealer = { db: archive.db, store: archive.store, log: createLogger("test", "silent"), signer: key.signer };
  await sealArchive({ ...sealer, host: "github.com", archiveId: identity?.archive_id ?? "" });
  expect(await run(["seal"])).toMatchObject({ code: 0 });
  const tampered = await run(verify);
  expect(tampered).toMatchObject({ code: 1, stdout: expect.stringContaining("no later seal corrects it") as string });

  const lost = await createTestDatabase({ migrated: true });
  const refused = await run(["rebuild"], { DATABASE_URL: lost, SEAL_KEY: "" });
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("of github.com") as string });
  const signed = await run(["rebuild"], { DATABASE_URL: lost });
  expect(signed).toMatchObject({ code: 0, stderr: expect.stringContaining("seal names another host") as string });

  const unsaid = await run(["seal", "--correct-host"]);
  expect(unsaid).toMatchObject({ code: 2, stderr: expect.stringContaining("needs --reason") as string });
  const corrected = await run(["seal", "--correct-host", "--reason", "a shell without GITHUB_API_URL"]);
  expect(corrected.code, corrected.stderr).toBe(0);
  expect(corrected.stdout).toContain(`Corrects seal 2, which names the host github.com: the archive is of ${simulatedHost}.`);
  const shown = await run(verify);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/corrected: 1\n.*seals\/000000000002\.json: names the host github\.com; .*without GITHUB_API_URL/);
  expect(shown.stdout).toContain("CLEAN");
  const again = await run(["seal", "--correct-host", "--reason", "again"]);
  expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining("is already corrected") as string });

  // A chain that corrects itself is followed without a key.
  const rebuilt = await run(["rebuild"], { DATABASE_URL: await createTestDatabase({ migrated: true }), SEAL_KEY: "" });
  expect(rebuilt.code, rebuilt.stderr).toBe(0);
});
