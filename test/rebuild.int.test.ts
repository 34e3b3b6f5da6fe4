// The database is lost, and the store is intact. `rebuild` fills a new database, and no log is requested from GitHub again.

import { generateKeyPairSync } from "node:crypto";

import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Client } from "pg";
import { expect, test } from "vitest";
import { z } from "zod";

import { askSql } from "./support/ask-sql.ts";
import { mainOf, type ProgramOptions, runCli, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";
/** The auditor's views. Not in the store: first-seen times, failures of logs, retention, and attempts without a record. */
const views = {
  jobs: "select to_jsonb(t) - '{first_seen_at,log_tries,log_detail,object_received_at,expires_at}'::text[] as row from jobs t",
  received: "select job_id, date_trunc('milliseconds', object_received_at) as at from jobs",
  steps: "select to_jsonb(t) as row from steps t",
  action_uses: "select to_jsonb(t) as row from action_uses t",
  annotations: "select to_jsonb(t) as row from annotations t",
  permissions: "select to_jsonb(t) as row from permissions t",
  runners: "select to_jsonb(t) as row from runners t",
  attempts: "select to_jsonb(t) - '{first_seen_at,listed_at}'::text[] as row from attempts t where record_key is not null",
  states: "select run_id, run_attempt, state from attempts",
  coverage: "select to_jsonb(t) as row from coverage t",
  seals: "select sequence, entries, sha256 from seals",
  gaps: "select kind, run_id, job_id, reason from gaps where kind not in ('window_open', 'not_sealed')",
};

const Dump = z.tuple([z.record(z.string(), z.array(z.unknown()))]);

async function dump(options: ProgramOptions, names = Object.keys(views)): Promise<Record<string, unknown>> {
  const query = Object.entries(views)
    .filter(([name]) => names.includes(name))
    .map(([name, view]) => `(select coalesce(jsonb_agg(to_jsonb(v) order by to_jsonb(v)), '[]') from (${view}) v) as ${name}`)
    .join(", ");
  return Dump.parse(await askSql(`select ${query}`, options))[0];
}

/** Resolves once a rebuild is in progress in this database. */
async function reachWork(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await expect
      .poll(async () => (await client.query("select from archive.rebuild where phase <> 'done'")).rowCount, {
        interval: 5,
        timeout: 60_000,
      })
      .toBe(1);
  } finally {
    await client.end();
  }
}

test(
  "after a loss of the database, rebuild and one pass end in what was there, and no log is asked for twice",
  { timeout: 600_000 },
  async () => {
    await using workspace = await openWorkspace();
    await using simulator = await startSimulator({ repositories: 3, days: 3, runsPerDay: 4, rateLimits: { perHour: 1_000_000 } });
    const SEAL_KEY = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
    const settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)), SEAL_KEY };
    const before = { cwd: workspace.folder, settings };
    const pass = await runCli(["start", "--once", "--json"], before);
    expect(pass.code, `${pass.stderr}\n${pass.stdout}`).toBe(0);
    const expected = await dump(before);

    const after = {
      cwd: workspace.folder,
      settings: { ...settings, DATABASE_URL: await createTestDatabase({ migrated: true }) },
    };
    await using killed = startProgram(mainOf("cli"), ["rebuild"], after);
    await reachWork(after.settings.DATABASE_URL);
    killed.stop("SIGKILL");
    expect((await killed.ended).signal).toBe("SIGKILL");
    const rebuilt = await runCli(["rebuild", "--json"], after);
    expect(rebuilt.code, rebuilt.stderr).toBe(0);
    const report = JSON.parse(rebuilt.stdout);
    expect(report).toMatchObject({ refusals: 0, refused: [], signature_checked: true, last_seal: expect.any(Number) });
    expect(await dump(after)).toEqual(expected);
    const again = await runCli(["rebuild", "--json"], after);
    expect(JSON.parse(again.stdout)).toEqual(report);

    const asked = simulator.journal.entries().length;
    const next = await runCli(["start", "--once", "--json"], after);
    expect(next.code, `${next.stderr}\n${next.stdout}`).toBe(0);
    const calls = simulator.journal.entries().slice(asked);
    expect(calls.filter(({ url, origin }) => origin === "log" || url.endsWith("/logs"))).toEqual([]);
    // Windows are wider, and there is a further seal.
    const { coverage: _coverage, seals: _seals, ...lasting } = expected;
    expect(await dump(after, Object.keys(lasting))).toEqual(lasting);
  },
);

test("rebuild reports what is wrong: no archive, a database in use, wrong usage", async () => {
  await using workspace = await openWorkspace();
  const options = { cwd: workspace.folder, settings: await engineSettings(workspace) };
  const nowhere = await runCli(["rebuild"], options);
  expect(nowhere).toMatchObject({ code: 78, stdout: "" });
  expect(nowhere.stderr).toContain("There is no archive at file:///");
  const help = await runCli(["rebuild", "--help"], options);
  expect(help.code).toBe(0);
  expect(help.stdout).toContain("actions-archive migrate && actions-archive rebuild");
  expect(await runCli(["rebuild", "--public-key", "nowhere.pem"], options)).toMatchObject({ code: 2 });
});
