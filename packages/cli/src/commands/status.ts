import { listCredentials } from "@actions-archive/database/credentials";
import { findIdentity } from "@actions-archive/database/identity";
import type { Database } from "@actions-archive/database/open-database";
import { openLedger } from "@actions-archive/database/open-ledger";
import { listUnreadableRepositories } from "@actions-archive/database/repositories";
import { countByReason, countWork, listProblems, listUnlistedAttempts, measureArchive } from "@actions-archive/database/summary";
// `status`: what is archived, what is owed, what waits.
import type { Command } from "commander";

import { type CommandContext, createCommandLogger, enginesFolder, print, printJson } from "../command-context.ts";
import { loadEngineConfig } from "../engine-config.ts";
import { formatTable } from "../format-table.ts";
import { openEngineEnvironment } from "../with-engines.ts";

export function addStatus(program: Command, context: CommandContext): void {
  program
    .command("status")
    .description("what is archived, what is owed, what waits")
    .option("--json", "one JSON document")
    .addHelpText("after", "\nExamples:\n  actions-archive status\n  actions-archive status --json | jq .counts.pending")
    .action(async ({ json }: { json?: true }) => {
      await using resources = new AsyncDisposableStack();
      const log = createCommandLogger(context);
      const { env } = resources.use(
        await openEngineEnvironment(context.env, { dir: enginesFolder, log, mode: "attach", uses: ["DATABASE_URL"] }),
      );
      const { DATABASE_URL } = loadEngineConfig(env);
      const { db } = resources.use(
        await openLedger({ url: DATABASE_URL.href, applicationName: "actions-archive status", maxConnections: 2, log }),
      );
      const status = await readStatus(db);
      if (json) printJson(context, status);
      else print(context, formatStatus(status));
    });
}

type Status = Awaited<ReturnType<typeof readStatus>>;

async function readStatus(db: Database) {
  const identity = await findIdentity(db);
  return {
    host: identity?.host ?? null,
    archive_id: identity?.archive_id ?? null,
    size: await measureArchive(db),
    counts: await countWork(db),
    logs: await countByReason(db),
    problems: [
      ...(await listUnreadableRepositories(db)).map(({ name, problem }) => ({ repository: name, problem })),
      ...(await listProblems(db)),
    ],
    unlisted_attempts: await listUnlistedAttempts(db, 100),
    credentials: await listCredentials(db),
  };
}

function formatStatus({ host, archive_id, size, counts, logs, problems, unlisted_attempts, credentials }: Status): string {
  const lines = [
    host === null ? "Nothing is archived yet." : `Archive ${archive_id} of ${host}`,
    `${size.repositories} repositories, ${size.runs} runs in ${size.attempts} attempts, ${size.jobs} jobs, ${size.steps} steps`,
  ];
  if (logs.length > 0)
    lines.push(
      "",
      formatTable(
        logs.map((row) => ({
          log: row.log_state,
          reason: row.reason,
          jobs: row.jobs,
          raw_bytes: row.raw_bytes,
          stored_bytes: row.stored_bytes,
        })),
      ),
    );
  if (counts.unloadedJobs > 0) lines.push(`Rows of ${counts.unloadedJobs} jobs are owed.`);
  if (unlisted_attempts.length > 0)
    lines.push("", "Attempts in progress, or gone before their jobs were listed:", formatTable(unlisted_attempts));
  if (problems.length > 0) lines.push("", "Repositories that cannot be listed:", formatTable(problems));
  if (credentials.length > 0)
    lines.push(
      "",
      formatTable(
        credentials.map(({ credential, limit, used, remaining, requests_this_hour, running }) => ({
          credential,
          limit,
          used,
          remaining,
          ours_this_hour: requests_this_hour,
          running,
        })),
      ),
    );
  for (const { credential, paused_until, pause_reason } of credentials) {
    if (paused_until === null) continue;
    lines.push(`Credential ${credential} pauses until ${paused_until.toISOString()}: ${pause_reason ?? "limit"}`);
  }
  return lines.join("\n");
}
