// All workers run with logins that are members of actions_archive_writer and own nothing, including the queue's tables.

import { migrateQueue } from "@actions-archive/core/queue-engine";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { openLogin } from "@actions-archive/database/test-support/access";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { documentedExample } from "@actions-archive/github-simulator/world/documented-example";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { runCli } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

test("a writer archives, backfills, queries and retries, with database and queue on one Postgres", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({
    scenario: "empty",
    extraJobs: [documentedExample({ lastStep: 16 })],
    rateLimits: { perHour: 100_000 },
  });
  await using database = await openTestDatabase();
  // A clone has its template's grants, except those on the database itself.
  await migrateDatabase(database.url);
  await migrateQueue(new URL(database.url));
  await using writer = await openLogin(database, { make: (name) => `create role ${name} in role actions_archive_writer` });
  const engines = { ...(await engineSettings(workspace)), DATABASE_URL: writer.url, QUEUE_URL: writer.url };
  const settings = { ...githubSettings(simulator), ...engines, ARCHIVE_SINCE: "2020-01-01" };
  const options = { cwd: workspace.folder, settings };
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli(args, options);
    // A retry may succeed without what was refused, so output is checked as well.
    expect(stdout + stderr, args.join(" ")).not.toMatch(/permission denied|must be owner|row-level security/);
    expect(code, `${args.join(" ")}: ${stderr}`).toBe(0);
  };

  await run("start", "--once");
  expect(await writer.ask("select job_id, log_state from audit.jobs")).toEqual([{ job_id: "399444496", log_state: "archived" }]);
  const repository = "octo-org/octo-repo";
  await run("backfill", repository, "--since", "2020-01-01", "--wait");
  for (const command of [["status"], ["gaps"], ["logs", "399444496"], ["sql", "select 1"], ["retry"]]) await run(...command);
});
