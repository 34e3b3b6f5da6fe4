// `reindex` of an archive with records of an older version, killed several times: the rows must equal those of an uninterrupted reindex,
// and those of a database that is rebuilt afterwards.

import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import type { SimulatorOptions } from "@actions-archive/github-simulator/options";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Client } from "pg";
import { expect, test, vi } from "vitest";

import { firstJobId, openFilledArchive } from "./support/filled-archive.ts";
import { mainOf, type ProgramOptions, runCli, startProgram } from "./support/processes.ts";
import { gatherRecordings, isWithoutFixtures } from "./support/recordings.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

const tables = ["jobs", "steps", "logs", "sections", "action_uses", "annotations", "permissions", "log_facts"];
/** Facts that an older version did not extract. */
const facts = [
  "extraction_version",
  "sections",
  "groups",
  "action_uses",
  "annotations",
  "runner",
  "token_permissions",
  "left_out",
];

async function rowsOf(databaseUrl: string, without: readonly string[] = []): Promise<Record<string, unknown[]>> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const rows: Record<string, unknown[]> = {};
    for (const table of tables)
      rows[table] = (
        await client.query(`select to_jsonb(t) - 'loaded_at' - $1::text[] as row from archive.${table} t order by 1`, [without])
      ).rows;
    return rows;
  } finally {
    await client.end();
  }
}

async function recordsIn(archive: string): Promise<string[]> {
  const files = await readdir(join(archive, "records"), { recursive: true });
  return files.filter((name) => name.endsWith(".json")).toSorted();
}

/** Rewrites all records without an extraction, as an older version did. @returns the number of records with a log. */
async function makeOlder(archive: string): Promise<number> {
  let logs = 0;
  for (const name of await recordsIn(archive)) {
    const path = join(archive, "records", name);
    const record = JSON.parse(await readFile(path, "utf8"));
    if (record.log.state === "archived") logs += 1;
    for (const fact of facts) delete record[fact];
    await rm(path);
    await writeFile(path, JSON.stringify(record));
  }
  return logs;
}

/** Rebuilds a database from the store in `archive`. */
async function rebuildFrom(
  archive: string,
  { cwd, settings }: ProgramOptions,
): Promise<ProgramOptions & { databaseUrl: string }> {
  const databaseUrl = await createTestDatabase({ migrated: true });
  const options = { cwd, settings: { ...settings, DATABASE_URL: databaseUrl, ARCHIVE_URL: pathToFileURL(archive).href } };
  const { code, stderr } = await runCli(["rebuild"], options);
  expect(code, stderr).toBe(0);
  return { ...options, databaseUrl };
}

const versions = async (archive: string) => (await recordsIn(archive)).filter((name) => name.endsWith(".2.json")).length;

async function archiveAll(workspace: Workspace, simulation: SimulatorOptions): Promise<ProgramOptions> {
  await using simulator = await startSimulator({ ...simulation, rateLimits: { perHour: 1_000_000 } });
  const settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)), ARCHIVE_SINCE: "2020-01-01" };
  const options = { cwd: workspace.folder, settings };
  const { code, stdout, stderr } = await runCli(["start", "--once", "--json"], options);
  expect(code, `${stderr}\n${stdout}`).toBe(0);
  return options;
}

async function reindexKilled(workspace: Workspace, first: ProgramOptions): Promise<void> {
  const { archive, folder } = workspace;
  const asArchived = await rowsOf(first.settings["DATABASE_URL"] ?? "", ["record_key", "record_version", "record_sha256"]);
  const logs = await makeOlder(archive);
  const copy = join(folder, "copy");
  await cp(archive, copy, { recursive: true });

  const whole = await rebuildFrom(copy, first);
  expect((await rowsOf(whole.databaseUrl))["sections"]).toEqual([]);
  const { code, stdout, stderr } = await runCli(["reindex", "--json"], whole);
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ read: logs, written: logs, failed: [] });

  const killed = await rebuildFrom(archive, first);
  for (let round = 1; round <= 3; round += 1) {
    const least = (await versions(archive)) + 3;
    await using program = startProgram(mainOf("cli"), ["reindex"], killed);
    await vi.waitFor(async () => expect(await versions(archive)).toBeGreaterThanOrEqual(least), { timeout: 60_000, interval: 2 });
    program.stop("SIGKILL");
    expect((await program.ended).signal).toBe("SIGKILL");
  }
  expect(await versions(archive)).toBeLessThan(logs);
  const resumed = await runCli(["reindex", "--json"], killed);
  expect(resumed.code, resumed.stderr).toBe(0);
  expect(JSON.parse(resumed.stdout)).toMatchObject({ failed: [] });

  const rows = await rowsOf(whole.databaseUrl);
  expect(await rowsOf(killed.databaseUrl)).toEqual(rows);
  expect(await recordsIn(archive)).toEqual(await recordsIn(copy));
  expect(await rowsOf(whole.databaseUrl, ["record_key", "record_version", "record_sha256"])).toEqual(asArchived);
  const rebuilt = await rebuildFrom(archive, first);
  expect(await rowsOf(rebuilt.databaseUrl)).toEqual(rows);
  const again = await runCli(["reindex", "--json"], rebuilt);
  expect(JSON.parse(again.stdout)).toMatchObject({ read: 0, written: 0, failed: [] });
  expect(JSON.parse((await runCli(["status", "--json"], rebuilt)).stdout)).toMatchObject({
    rereads: { older_extraction: 0, fuller_object: 0, failing: 0 },
  });
}

test("reindex of generated logs, killed three times and run again, ends in equal rows", { timeout: 600_000 }, async () => {
  await using workspace = await openWorkspace();
  await reindexKilled(workspace, await archiveAll(workspace, { repositories: 3, days: 3, runsPerDay: 5 }));
});

test.skipIf(isWithoutFixtures)(
  "reindex of recorded logs, killed three times and run again, ends in equal rows (skipped without ../shared/fixtures)",
  { timeout: 600_000 },
  async () => {
    await using workspace = await openWorkspace();
    const { replayDir } = await gatherRecordings(workspace);
    await reindexKilled(workspace, await archiveAll(workspace, { replayDir }));
  },
);

test("reindex reports wrong usage, and changes nothing", { timeout: 300_000 }, async () => {
  await using workspace = await openWorkspace();
  await using filled = await openFilledArchive(workspace);
  const first = filled.options;
  await filled.settleAbsent({ job_id: firstJobId }, { state: "absent", reason: "expired", copied_from: null });
  const before = await recordsIn(workspace.archive);
  const wrong = [
    ["--repository", "acme/nowhere"],
    ["--job", "12"],
    ["--job", String(firstJobId)],
    ["--job", "x"],
    ["--job", "12", "--since", "3"],
    ["--since", "someday"],
  ];
  for (const args of wrong) {
    const { code, stdout, stderr } = await runCli(["reindex", ...args], first);
    expect({ code, stdout }, args.join(" ")).toEqual({ code: 2, stdout: "" });
    expect(stderr).not.toBe("");
  }
  const help = await runCli(["reindex", "--help"], first);
  expect(help).toMatchObject({ code: 0 });
  expect(help.stdout).toContain("actions-archive reindex --job 399444496");
  const done = await runCli(["reindex"], first);
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining("Read 0 archived logs") });
  expect(await recordsIn(workspace.archive)).toEqual(before);
});
