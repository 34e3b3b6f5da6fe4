// Retention with the operator's commands: hold, retention and erase, and what remains afterwards.

import { generateKeyPairSync } from "node:crypto";
import { globSync } from "node:fs";
import { userInfo } from "node:os";

import { dayMs } from "@actions-archive/core/durations";
import { createLogger } from "@actions-archive/core/logger";
import { createBackfill } from "@actions-archive/database/backfill/backfills";
import { findIdentity } from "@actions-archive/database/ledger/identity";
import { failLog } from "@actions-archive/database/ledger/log-states";
import { applyPolicies, removeTombstoned } from "@actions-archive/loader/retention/apply-retention";
import { sealArchive } from "@actions-archive/loader/seal/seal-archive";
import { openSealer } from "@actions-archive/loader/seal/start-sealing";
import { expect, test } from "vitest";

import { firstJobId, openFilledArchive } from "./support/filled-archive.ts";
import { runCli } from "./support/processes.ts";
import { openWorkspace, simulatedHost as host } from "./support/workspace.ts";

const stamp = "2026-05-01T10:00:10.1234567Z";
const secret = `${stamp} export KEY=hunter2\n`;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs).toISOString();

async function openArchiveWithSeals() {
  await using resources = new AsyncDisposableStack();
  const workspace = resources.use(await openWorkspace());
  const archive = resources.use(await openFilledArchive(workspace));
  const { db, store } = archive;
  await store.probe();
  const loader = { db, store, host, log: createLogger("test", "silent") };
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const config = { SEAL_KEY: pem, SEAL_KEY_FILE: undefined, SEAL_INTERVAL_SECONDS: 3600 };
  const sealer = await openSealer(config, { loader, archiveId: (await findIdentity(db))?.archive_id ?? "" });
  if (sealer === undefined) throw new Error("there is a key");
  const run = (...args: string[]) => runCli(args, archive.options);
  const opened = resources.move();
  return {
    ...archive,
    run,
    json: async (...args: string[]) => {
      const { code, stdout, stderr } = await run(...args, "--json");
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as unknown;
    },
    seal: () => sealArchive(sealer),
    /** One round of the loader's periodic maintenance. */
    turn: async () => [await applyPolicies(loader), await removeTombstoned(loader)],
    /** @returns files below logs/ that belong to a job, including metadata and hidden ones. */
    filesOf: (job: number) => globSync(`logs/**/{,.}${job}.*`, { cwd: workspace.archive }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

test("erase removes a log that is sealed: from the rows, then, under a seal with its tombstone, from the store; the rest stays", async () => {
  await using archive = await openArchiveWithSeals();
  const { run, json, filesOf } = archive;
  const [job, twin, other] = [firstJobId, firstJobId + 1, firstJobId + 2];
  for (const id of [job, twin]) await archive.archive({ job_id: id }, secret);
  await archive.archive({ job_id: other, repository: "acme/web" }, `${stamp} harmless\n`);

  const early = await run("erase", String(job), "--reason", "prints a key", "--yes");
  expect(early).toMatchObject({ code: 2, stdout: "" });
  expect(early.stderr).toContain("not in a published seal yet");
  await archive.seal();

  const planned = await run("erase", String(job), "--reason", "prints a key", "--dry-run");
  expect(planned).toMatchObject({ code: 0, stdout: expect.stringContaining("Nothing was changed: --dry-run.") as string });
  for (const text of [`Job ${job}: `, "in acme/app", "held by seal 1", "What goes: 1 object, "])
    expect(planned.stdout).toContain(text);
  expect(await json("erase", String(job), "--reason", "prints a key", "--dry-run")).toMatchObject({
    dry_run: true,
    job_id: job,
    repository: "acme/app",
    objects: [{ object_key: expect.stringContaining(`${job}.log.zst`) as string, sealed_in: 1 }],
    same_text: [twin],
  });
  const unconfirmed = await run("erase", String(job), "--reason", "prints a key");
  expect(unconfirmed).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("Without a terminal this needs --yes") as string,
  });
  expect(await json("sql", "select log_state from jobs where log_state <> 'archived'")).toEqual([]);

  const erased = await run("erase", String(job), "--reason", "prints a key", "--yes");
  expect(erased.code, erased.stderr).toBe(0);
  expect(erased.stdout).toContain("waits for a seal");
  expect(erased.stdout).toContain(`erase them too: ${twin}.`);
  expect(erased.stdout).toMatch(/The record records\/\S+ stays, as evidence/);
  expect(await run("logs", String(job))).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("is absent: removed") as string,
  });
  const search = await run("search", "hunter2");
  expect(search.code).toBe(3);
  expect(search.stdout.trimEnd().split("\n")).toEqual([expect.stringContaining(`job ${twin}`)]);

  expect(await archive.turn()).toEqual([0, 0]);
  expect(filesOf(job)).toHaveLength(2);
  await archive.seal();
  expect(await archive.turn()).toEqual([0, 1]);
  expect(filesOf(job)).toEqual([]);
  expect(filesOf(twin)).toHaveLength(2);

  expect(await json("erase", String(job), "--reason", "again")).toMatchObject({
    job_id: job,
    is_new: false,
    objects: [{ reason: "prints a key", sealed_in: 2, removed_at: expect.any(String) as string }],
  });
  expect((await run("erase", String(job), "--reason", "again")).stdout).toMatch(/was removed before: erased at .*gone since/s);
  expect(await json("report", "evidence", String(job))).toMatchObject({
    job: { log_reason: "removed" },
    tombstones: [{ cause: "erase", sealed_in: 2 }],
  });
  expect((await run("logs", String(other), "--raw")).stdout).toBe(`${stamp} harmless\n`);
});

test("hold keeps a log from erase and from policies, is listed, and is released", async () => {
  await using archive = await openArchiveWithSeals();
  const { run, json } = archive;
  const [job, other] = [firstJobId, firstJobId + 1];
  for (const id of [job, other]) await archive.archive({ job_id: id, completed_at: daysAgo(100) }, secret);
  await archive.seal();
  expect((await run("hold")).stdout).toBe("Nothing is on hold.\n");
  const held = await run("hold", String(job), "--reason", "matter 7\u001B[2J");
  expect(held).toMatchObject({ code: 0, stdout: expect.stringContaining("1 job is on hold now.") as string });
  expect(held.stdout).not.toContain("\u001B[2J");
  expect(await json("hold")).toMatchObject({ holds: [{ job_id: job, repository: "acme/app", log_state: "archived" }] });
  const refused = await run("erase", String(job), "--reason", "why");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("is on hold");
  await run("retention", "set", "acme", "--keep-days", "30", "--yes");
  expect(await archive.turn()).toEqual([1, 0]);
  expect(await json("hold", "--release", String(job))).toMatchObject({
    jobs: [{ job_id: job, is_held: false, is_changed: true }],
  });
  expect((await run("hold", "--release", String(job))).stderr).toContain("is not on hold");
  const late = await run("hold", String(other));
  expect(late).toMatchObject({ code: 0, stdout: expect.stringContaining(`Too late for ${other}`) as string });
  expect((await run("erase", String(job), "--reason", "why", "--yes")).code).toBe(0);
});

test("retention shows what will be removed before it changes anything, and the loader removes it", async () => {
  await using archive = await openArchiveWithSeals();
  const { run, json, filesOf } = archive;
  const [old, young, foreign] = [firstJobId, firstJobId + 1, firstJobId + 2];
  await archive.archive({ job_id: old, completed_at: daysAgo(100) }, secret);
  await archive.archive({ job_id: young, completed_at: daysAgo(1) }, secret);
  await archive.archive({ job_id: foreign, repository: "acme/web", completed_at: daysAgo(100) }, secret);
  await archive.seal();
  expect((await run("retention")).stdout).toContain("No policies: all logs are kept indefinitely.");

  const set = ["retention", "set", "ACME", "--keep-days", "30"];
  const unsure = await run(...set);
  expect(unsure.code).toBe(2);
  expect(unsure.stdout).toContain("2 logs are removed now");
  expect(unsure.stderr).toContain("repeat it with --yes");
  expect(await json(...set, "--dry-run")).toMatchObject({ changed: false, dry_run: true, logs: 2, held: 0, unsealed: 0 });
  expect(await json("retention", "list")).toMatchObject({ policies: [] });

  expect((await run("retention", "set", "acme/web", "--keep-days", "400")).code).toBe(0);
  expect(await json(...set, "--yes")).toMatchObject({ name: "acme", keep_days: 30, changed: true, logs: 1 });
  expect(await json("retention", "plan")).toMatchObject({
    logs: 1,
    repositories: [{ repository: "acme/app", logs: 1 }, { logs: 0 }],
  });
  const shorter = await run("retention", "remove", "acme/web");
  expect(shorter.code).toBe(2);
  expect(shorter.stderr).toContain("removes 1 more log permanently");

  expect(await archive.turn()).toEqual([1, 0]);
  expect(await json("retention")).toMatchObject({
    policies: [
      { name: "acme", keep_days: 30, repositories: 1 },
      { name: "acme/web", keep_days: 400, repositories: 1 },
    ],
    removals: { waiting_for_seal: 1, removed: 0 },
  });
  await archive.seal();
  expect(await archive.turn()).toEqual([0, 1]);
  expect([filesOf(old), filesOf(young), filesOf(foreign)].map((files) => files.length)).toEqual([0, 2, 2]);
  expect((await run("retention")).stdout).toContain("Logs removed so far: 1.");
  const tombstones = await json("sql", "select job_id, cause, reason from tombstones");
  expect(tombstones).toEqual([{ job_id: old, cause: "retention", reason: "keep 30 days (acme)" }]);
});

test.each([
  [["erase", String(firstJobId)], "--reason"],
  [["erase", String(firstJobId), "--reason", " "], "--reason must say why"],
  [["erase", "all", "--reason", "why"], "must be a job's id"],
  [["hold", "--release"], "Name the jobs"],
  [["hold", "5"], "No job 5 is known"],
  [["retention", "set", "acme"], "--keep-days"],
  [["retention", "set", "acme/*", "--keep-days", "3"], "must be owner or owner/name"],
  [["retention", "set", "acme", "--keep-days", "0"], "1 or more"],
  [["retention", "set", "acme", "--keep-days", "99999999999"], "36500 at most"],
  [["retention", "remove", "acme"], "There is no policy acme"],
])("%j is refused with 2, and says how it is right", async (args, message) => {
  await using workspace = await openWorkspace();
  await using archive = await openFilledArchive(workspace);
  const { code, stderr } = await runCli(args, archive.options);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

test("--by, --reason and --why of each command are recorded, and without --by the login of the operating system", async () => {
  await using archive = await openArchiveWithSeals();
  const { json } = archive;
  const [job, other, failed] = [firstJobId, firstJobId + 1, firstJobId + 2];
  for (const id of [job, other]) await archive.archive({ job_id: id }, secret);
  await archive.seal();
  await archive.owe({ job_id: failed });
  await failLog(archive.db, failed, "forbidden", "403");
  const backfill = await createBackfill(archive.db, {
    askedFor: ["acme/app"],
    since: new Date(0),
    until: new Date(),
    repositories: [],
  });

  const asked = (reason: string) => ["--by", "mona", "--reason", reason];
  await json("hold", String(other), ...asked("matter 7"));
  await json("hold", "--release", String(other));
  await json("erase", String(job), "--yes", ...asked("prints a key"));
  await json("retention", "set", "acme", "--keep-days", "36500", ...asked("law 4"));
  await json("retry", String(failed), "--by", "mona", "--why", "granted");
  await json("backfill", "pause", String(backfill), ...asked("quiet hours"));
  const tooLong = await archive.run("hold", String(other), "--reason", "x".repeat(501));
  expect(tooLong).toMatchObject({ code: 2, stderr: expect.stringContaining("500 characters at most") as string });

  const rows = (view: string, order: string) => json("sql", `select by, os_user, reason from ${view} order by ${order}`);
  const by = (reason: string) => ({ by: "mona", os_user: userInfo().username, reason });
  const unnamed = { by: userInfo().username, os_user: userInfo().username, reason: null };
  expect(await rows("holds", "hold_id")).toEqual([by("matter 7"), unnamed]);
  expect(await rows("tombstones", "object_key")).toEqual([by("prints a key")]);
  expect(await rows("retention_policies", "policy_id")).toEqual([by("law 4")]);
  expect(await rows("retries", "retry_id")).toEqual([by("granted")]);
  expect(await rows("backfills", "step_id")).toEqual([unnamed, by("quiet hours")]);
});
