// Records who did what, and why: in the table, the view, the seal and a rebuilt database; and verify compares it.

import { userInfo } from "node:os";

import type { Seal } from "@actions-archive/archive/seal/seal";
import { parseSeal } from "@actions-archive/archive/seal/seal-envelope";
import { verifyArchive } from "@actions-archive/archive/verify/verify-archive";
import { verifyDatabase } from "@actions-archive/cli/verify/verify-database";
import { sealKey } from "@actions-archive/core/object-key";
import { createBackfill, changeBackfillState } from "@actions-archive/database/backfill/backfills";
import { finishCheck } from "@actions-archive/database/ledger/attempts";
import { failLog, retryFailedLogs } from "@actions-archive/database/ledger/log-states";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { eraseLog } from "@actions-archive/database/retention/erase-log";
import { holdJobs } from "@actions-archive/database/retention/holds";
import { changePolicy } from "@actions-archive/database/retention/retention";
import { jobId, type Json, repositoryId, runId, runObject } from "@actions-archive/database/test-support/samples";
import { applyPolicies } from "@actions-archive/loader/retention/apply-retention";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { loadRun } from "@actions-archive/loader/rows/load-run";
import { sealArchive, type SealOptions } from "@actions-archive/loader/seal/seal-archive";
import { archiveText } from "@actions-archive/loader/test-support/archived-log";
import { newSigner, publicKey, signer } from "@actions-archive/loader/test-support/filled-store";
import { type Harness, openHarness } from "@actions-archive/loader/test-support/harness";
import { openEmptyDatabase, rebuildInto } from "@actions-archive/loader/test-support/rebuilt";
import { expect, test } from "vitest";

const osUser = userInfo().username;
const held = jobId + 2;
const failed = jobId + 3;

async function seal(harness: Harness, options: SealOptions = {}): Promise<void> {
  const [identity] = await harness.ask("select archive_id from archive.identity");
  await sealArchive({ ...harness.loader, archiveId: String(identity?.["archive_id"]), signer }, options);
}

async function newestSeal({ loader }: Harness): Promise<Seal> {
  for (let sequence = 1, newest: Seal | undefined; ; sequence += 1) {
    const bytes = await loader.store.read(sealKey(sequence));
    if (bytes !== undefined) newest = parseSeal(bytes, sealKey(sequence)).seal;
    else if (newest === undefined) throw new Error("nothing is sealed");
    else return newest;
  }
}

/** Adds four jobs: two with logs to remove, one to hold, one that failed. All that is archived is sealed. */
async function openOperations() {
  const harness = await openHarness();
  for (const id of [jobId, jobId + 1, held]) await archiveText(harness, id);
  await harness.owe({ id: failed });
  await loadJobs(harness.loader, [failed]);
  await failLog(harness.loader.db, failed, "forbidden", "403");
  await seal(harness);
  const [login] = await harness.ask("select session_user::text as name");
  const actor = { by: "mona", os_user: osUser, database_user: String(login?.["name"]) };
  return { harness, actor, db: harness.loader.db };
}

async function verify({ loader }: Harness, db = loader.db) {
  const result = await verifyArchive(loader.store, { keys: [publicKey], isDeep: () => false, sealIntervalSeconds: 3600 });
  await verifyDatabase({ db, store: loader.store, result, sealIntervalSeconds: 3600 });
  return result.findings.tampering;
}

/** Performs every operation once. */
async function performAll({ harness, db }: Awaited<ReturnType<typeof openOperations>>): Promise<void> {
  await holdJobs(db, { jobIds: [held], isHeld: true, reason: "matter 7", by: "mona" });
  await holdJobs(db, { jobIds: [held], isHeld: false, reason: "closed", by: "hubot" });
  await holdJobs(db, { jobIds: [held], isHeld: true, reason: "matter 8", by: "mona" });
  await eraseLog(db, jobId, "prints a key", "mona");
  await changePolicy(db, { name: "acme", keepDays: 30 }, { by: "mona", reason: "law 4" });
  expect(await applyPolicies(harness.loader)).toBe(1);
  await retryFailedLogs(db, { jobIds: [failed] }, { by: "mona", reason: "permission granted" });
  const id = await createBackfill(
    db,
    {
      askedFor: ["acme/*"],
      since: new Date("2026-01-01T00:00:00Z"),
      until: new Date("2026-02-01T00:00:00Z"),
      repositories: [{ repository_id: repositoryId, full_name: "acme/app", is_private: false, estimated_runs: 1 }],
    },
    { by: "mona", reason: "audit of January" },
  );
  await changeBackfillState(db, id, "cancel", { by: "hubot", reason: "wrong month" });
  await changeBackfillState(db, id, "cancel", { by: "octocat" });
}

const views = {
  holds: "select is_held, reason, by, os_user, database_user from audit.holds order by hold_id",
  tombstones: "select job_id, cause, reason, by, os_user, database_user from audit.tombstones order by job_id",
  policies: "select name, keep_days, reason, by, os_user, database_user from audit.retention_policies",
  retries: "select repository, job_id, failed_for, reason, by, os_user, database_user from audit.retries",
  backfills:
    "select backfill_id, step, asked_for, repository_ids::text, reason, by, os_user, database_user from audit.backfills order by step_id",
};

const viewsOf = async (ask: Harness["ask"]) =>
  Object.fromEntries(await Promise.all(Object.entries(views).map(async ([name, query]) => [name, await ask(query)] as const)));

test("each operation is in its view and in the next seal with who did it and why, and a rebuilt database has it from there", async () => {
  const acts = await openOperations();
  const { harness, actor } = acts;
  await using _ = harness;
  await performAll(acts);
  const loader = { ...actor, by: "loader" };
  const hubot = { ...actor, by: "hubot" };
  const backfill = { backfill_id: 1, asked_for: ["acme/*"] };
  const shown = await viewsOf(harness.ask);
  expect(shown).toEqual({
    holds: [
      { is_held: true, reason: "matter 7", ...actor },
      { is_held: false, reason: "closed", ...hubot },
      { is_held: true, reason: "matter 8", ...actor },
    ],
    tombstones: [
      { job_id: jobId, cause: "erase", reason: "prints a key", ...actor },
      { job_id: jobId + 1, cause: "retention", reason: "keep 30 days (acme)", ...loader },
    ],
    policies: [{ name: "acme", keep_days: 30, reason: "law 4", ...actor }],
    retries: [{ repository: "acme/app", job_id: failed, failed_for: "forbidden", reason: "permission granted", ...actor }],
    backfills: [
      { ...backfill, step: "begin", repository_ids: `{${repositoryId}}`, reason: "audit of January", ...actor },
      { ...backfill, step: "cancel", repository_ids: `{${repositoryId}}`, reason: "wrong month", ...hubot },
    ],
  });

  await seal(harness);
  expect(await newestSeal(harness)).toMatchObject({
    holds: shown["holds"],
    tombstones: shown["tombstones"],
    policies: shown["policies"],
    retries: [{ job_id: failed, repository_id: repositoryId, failed_for: "forbidden", reason: "permission granted", ...actor }],
    backfills: [
      { ...backfill, step: "begin", repository_ids: [repositoryId], since: "2026-01-01T00:00:00.000Z", ...actor },
      { ...backfill, step: "cancel", ...hubot },
    ],
  });
  expect(await verify(harness)).toEqual([]);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey });
  expect(await viewsOf(empty.ask)).toEqual(shown);
  expect(await verify(harness, empty.db)).toEqual([]);
  const next = { askedFor: ["acme/app"], since: new Date(0), until: new Date(), repositories: [] };
  expect(await createBackfill(empty.db, next)).toBe(2);
});

test("without a name an operation is ascribed to the operating system's login", async () => {
  const { harness, db, actor } = await openOperations();
  await using _ = harness;
  await holdJobs(db, { jobIds: [held], isHeld: true, reason: null });
  expect(await harness.ask(views.holds)).toEqual([{ is_held: true, reason: null, ...actor, by: osUser }]);
});

test("who announced a new sealing key and why is in that seal and in audit.seals, and in no other", async () => {
  const { harness, actor } = await openOperations();
  await using _ = harness;
  await seal(harness, { nextKey: newSigner().publicKey, ascription: { by: "mona", reason: "yearly rotation" } });
  const operator = { ...actor, reason: "yearly rotation" };
  expect((await newestSeal(harness)).operator).toEqual(operator);
  const query = "select by, os_user, database_user, reason from audit.seals order by sequence";
  const none = { by: null, os_user: null, database_user: null, reason: null };
  expect(await harness.ask(query)).toEqual([none, operator]);
  expect(await verify(harness)).toEqual([]);
  await harness.ask("update archive.seals set by = 'hubot' where sequence = 2");
  expect(await verify(harness)).toMatchObject([
    { key: "archive.seals 2", detail: expect.stringContaining("by is hubot") as string },
  ]);
});

test("a removal of old runs says which login of the database did it", async () => {
  const { harness, actor } = await openOperations();
  await using _ = harness;
  await harness.ask("select archive.remove_runs_before('2020-01-01')");
  await harness.ask("select archive.remove_runs_before('2020-01-01')");
  expect(await harness.ask("select database_user from audit.removals")).toEqual([{ database_user: actor.database_user }]);
  await seal(harness);
  expect(await newestSeal(harness)).toMatchObject({ removals: [{ database_user: actor.database_user }] });
  expect(await verify(harness)).toEqual([]);
});

test("verify finds a changed name, login or reason in every table", async () => {
  const acts = await openOperations();
  const { harness } = acts;
  await using _ = harness;
  await performAll(acts);
  await seal(harness);
  for (const [table, column] of [
    ["holds", "by"],
    ["holds", "os_user"],
    ["tombstones", "by"],
    ["retention_policies", "reason"],
    ["retries", "by"],
    ["retries", "reason"],
    ["backfill_steps", "database_user"],
    ["attempts", "triggering_actor"],
  ] as const) {
    if (table === "attempts") await listAttempt(harness, 1);
    await harness.ask(`alter table archive.${table} add column kept text`);
    await harness.ask(`update archive.${table} set kept = ${column}, ${column} = 'hubot-2'`);
    const found = await verify(harness);
    expect(found.length, `${table}.${column}`).toBeGreaterThan(0);
    for (const { key, detail } of found) expect(`${key}: ${detail}`).toMatch(new RegExp(`^archive.${table} .*${column} is`));
    await harness.ask(`update archive.${table} set ${column} = kept`);
    await harness.ask(`alter table archive.${table} drop column kept`);
  }
  expect(await verify(harness)).toEqual([]);
});

test("an operation older than the record of who did it has null, in the seal and in every database, and verifies", async () => {
  const { harness } = await openOperations();
  await using _ = harness;
  await harness.ask(`
    insert into archive.holds (job_id, is_held, by, os_user, database_user) values (${held}, true, null, null, null)`);
  await harness.ask(`
    insert into archive.retention_policies (name, keep_days, database_user) values ('acme', 4000, null)`);
  await seal(harness);
  const noActor = { by: null, os_user: null, database_user: null };
  expect(await newestSeal(harness)).toMatchObject({ holds: [noActor], policies: [{ ...noActor, reason: null }] });
  expect(await verify(harness)).toEqual([]);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey });
  expect(await empty.ask(views.holds)).toEqual(await harness.ask(views.holds));
  expect(await verify(harness, empty.db)).toEqual([]);
});

const pulls = (...numbers: number[]) => numbers.map((number) => ({ id: number, number }));
const account = (login: string): Json => ({ id: 1, login });

async function listAttempt(harness: Harness, run_attempt: number, object?: Json): Promise<void> {
  const attempt = { run_id: runId, run_attempt };
  await finishCheck(harness.loader.db, attempt, { state: "listed", jobs: 1, missingJobIds: [], ...(object && { object }) });
  await loadRun(harness.loader, attempt);
  await seal(harness);
}

test("two attempts by different people show each its own, and what was not recorded of an attempt is null", async () => {
  await using harness = await openHarness();
  const { db } = harness.loader;
  // Newer than the harness's snapshot.
  const first = runObject({
    updated_at: "2026-05-01T10:06:00Z",
    triggering_actor: account("mona"),
    pull_requests: pulls(12),
    head_repository: { id: 5, full_name: "fork/app" },
  });
  const third = runObject({
    run_attempt: 3,
    triggering_actor: account("hubot"),
    pull_requests: [],
    head_repository: null,
    updated_at: "2026-05-02T10:00:00Z",
  });
  await recordRuns(db, repositoryId, [first]);
  await harness.owe();
  await recordRuns(db, repositoryId, [third]);
  await harness.owe({ id: jobId + 1, run_attempt: 2 });
  await harness.owe({ id: jobId + 2, run_attempt: 3 });
  await loadJobs(harness.loader, [jobId, jobId + 1, jobId + 2]);
  await harness.ask(`update archive.jobs set run_attempt = job_id - ${jobId - 1}`);
  const columns = "triggering_actor, pull_request_numbers::text as pulls, head_repository";
  const expected = [
    { run_attempt: 1, actor: "mona", triggering_actor: "mona", pulls: "{12}", head_repository: "fork/app" },
    { run_attempt: 2, actor: "mona", triggering_actor: null, pulls: null, head_repository: null },
    { run_attempt: 3, actor: "mona", triggering_actor: "hubot", pulls: "{}", head_repository: null },
  ];
  expect(await harness.ask(`select run_attempt, actor, ${columns} from audit.attempts order by run_attempt`)).toEqual(expected);
  expect(await harness.ask(`select run_attempt, actor, ${columns} from audit.jobs order by run_attempt`)).toEqual(expected);
  expect(await harness.ask("select distinct workflow_path, run_number::integer from audit.jobs")).toEqual([
    { workflow_path: ".github/workflows/ci.yml", run_number: 7 },
  ]);
});

test("a rebuilt database shows who triggered each attempt, as its run record says", async () => {
  await using harness = await openHarness();
  const second = runObject({
    run_attempt: 2,
    triggering_actor: account("hubot\0"),
    pull_requests: [...pulls(7, 8), { number: "x" }, null],
    updated_at: "2026-05-02T10:00:00Z",
  });
  await listAttempt(harness, 1, runObject({ triggering_actor: account("octocat"), pull_requests: pulls(7) }));
  await recordRuns(harness.loader.db, repositoryId, [second]);
  await listAttempt(harness, 2);
  const query = `select run_attempt, actor, triggering_actor, pull_request_numbers::text as pulls, head_repository, to_jsonb(path) as path
    from audit.attempts order by 1`;
  const shown = await harness.ask(query);
  expect(shown).toMatchObject([
    { triggering_actor: "octocat", pulls: "{7}" },
    { triggering_actor: "hubot\uFFFD", pulls: "{7,8}" },
  ]);
  await using empty = await openEmptyDatabase();
  await rebuildInto(empty, harness, { publicKey });
  expect(await empty.ask(query)).toEqual(shown);
  expect(await verify(harness)).toEqual([]);
  expect(await verify(harness, empty.db)).toEqual([]);
});
