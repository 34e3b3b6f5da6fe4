// `doctor`: checks settings, GitHub, engines, disk and keys, and names the cure of what is wrong.

import { openDatabase } from "@actions-archive/database/connection/open-database";
import type { Command } from "commander";

import { type CommandContext, createCommandLogger, print, printJson } from "../command-context.ts";
import { checkDatabase, checkQueue, checkStore } from "../doctor/check-engines.ts";
import { checkGitHub, checkTraffic, type GitHubCheckRequest } from "../doctor/check-github.ts";
import { checkDisk, checkSealKey, checkSettings, settingOf } from "../doctor/check-settings.ts";
import { type Check, runChecks } from "../doctor/check.ts";
import { formatChecks } from "../doctor/format-checks.ts";
import { type EmbeddedEngines, openEmbeddedFor } from "../doctor/open-embedded.ts";

const exitFailed = 2;

export function addDoctor(program: Command, context: CommandContext): void {
  program
    .command("doctor")
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive doctor\n  actions-archive doctor --json | jq '.checks[] | select(.status != \"pass\")'\n\nSends a few requests to GitHub, and writes a few bytes under probe/ in the store. Exit codes: 0 nothing failed, 2 a check failed.",
    )
    .action(async ({ json }: { json?: true }) => {
      const checks = await examine(context);
      if (json) printJson(context, { checks });
      else print(context, formatChecks(checks, context.stdout));
      process.exitCode = checks.some(({ status }) => status === "fail") ? exitFailed : 0;
    });
}

async function examine(context: CommandContext): Promise<Check[]> {
  const log = createCommandLogger(context, "silent");
  await using embedded = await openEmbeddedFor(context, log);
  const { env } = embedded;
  const settingsChecks = checkSettings(context.env);
  const database = await checkDatabaseAndTraffic(embedded, { url: settingOf(env, "DATABASE_URL"), log });
  const queueUrl = settingOf(env, "QUEUE_URL");
  const archiveUrl = settingOf(env, "ARCHIVE_URL");
  const groups = await Promise.all([
    runChecks("github_api", "Check GITHUB_API_URL and the way to it.", (signal) =>
      checkGitHub({ env, log, signal, databaseClock: database.clock }),
    ),
    queueUrl === undefined
      ? embedded.absent("queue")
      : runChecks("queue", "Check QUEUE_URL; for Redis also its password, protected-mode and ACL.", () => checkQueue(queueUrl)),
    archiveUrl === undefined
      ? embedded.absent("store")
      : runChecks("store", "Check ARCHIVE_URL, S3_ENDPOINT and the AWS_* variables.", () =>
          checkStore({
            ARCHIVE_URL: archiveUrl,
            S3_ENDPOINT: settingOf(env, "S3_ENDPOINT"),
            S3_FORCE_PATH_STYLE: settingOf(env, "S3_FORCE_PATH_STYLE"),
            S3_OBJECT_LOCK_MODE: settingOf(env, "S3_OBJECT_LOCK_MODE"),
            S3_OBJECT_LOCK_DAYS: settingOf(env, "S3_OBJECT_LOCK_DAYS"),
            S3_KMS_KEY_ID: settingOf(env, "S3_KMS_KEY_ID"),
          }),
        ),
    checkDisk(env, archiveUrl?.href),
  ]);
  const [github, queue, store, disk] = groups;
  return [...settingsChecks, ...github, ...database.checks, ...queue, ...store, ...disk, checkSealKey(env, embedded.hasSealKey)];
}

type DatabaseResult = { readonly checks: Check[]; readonly clock: GitHubCheckRequest["databaseClock"] };

async function checkDatabaseAndTraffic(
  embedded: EmbeddedEngines,
  { url, log }: { readonly url: URL | undefined; readonly log: ReturnType<typeof createCommandLogger> },
): Promise<DatabaseResult> {
  if (url === undefined) return { checks: await embedded.absent("database"), clock: undefined };
  let clock: DatabaseResult["clock"];
  const checks = await runChecks("database", "Check DATABASE_URL, and that Postgres runs and accepts this host.", async () => {
    await using opened = await openDatabase({ url: url.href, applicationName: "actions-archive doctor", maxConnections: 2, log });
    const { rows } = await opened.pool.query<{ now: Date }>("select clock_timestamp() as now");
    if (rows[0] !== undefined) clock = { now: rows[0].now, readAt: performance.now() };
    const found = await checkDatabase(opened.db);
    const hasSchema = found.every(({ check, status }) => check !== "database_schema" || status === "pass");
    return hasSchema ? [...found, ...(await checkTraffic(opened.db, embedded.env))] : found;
  });
  return { checks, clock };
}
