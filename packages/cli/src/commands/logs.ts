// `logs JOB_ID`: an archived log, safe for a terminal.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { openStore } from "@actions-archive/archive/open-store";
import { readLog } from "@actions-archive/archive/read-log";
import { PermanentError } from "@actions-archive/core/errors";
import { findLog } from "@actions-archive/database/logs";
import { findObligation } from "@actions-archive/database/obligations";
import type { Database } from "@actions-archive/database/open-database";
import { openLedger } from "@actions-archive/database/open-ledger";
import type { Command } from "commander";

import { type CommandContext, createCommandLogger, enginesFolder, printJson } from "../command-context.ts";
import { loadEngineConfig } from "../engine-config.ts";
import { parseJobId } from "../parse-job-id.ts";
import { TerminalSafe } from "../terminal-safe.ts";
import { openEngineEnvironment } from "../with-engines.ts";

type LogsOptions = { raw?: true; json?: true };

export function addLogs(program: Command, context: CommandContext): void {
  program
    .command("logs")
    .description("print an archived log; control characters are made visible, colours pass")
    .argument("<job-id>", "GitHub's id of the job", parseJobId)
    .option("--raw", "the bytes as GitHub served them")
    .option("--json", "where the log lies, as one JSON document, instead of its text")
    .addHelpText("after", "\nExamples:\n  actions-archive logs 399444496\n  actions-archive logs 399444496 --raw | sha256sum")
    .action(async (jobId: number, { raw, json }: LogsOptions) => {
      await using resources = new AsyncDisposableStack();
      const log = createCommandLogger(context);
      const { env } = resources.use(
        await openEngineEnvironment(context.env, {
          dir: enginesFolder,
          log,
          mode: "attach",
          uses: ["DATABASE_URL", "ARCHIVE_URL"],
        }),
      );
      const config = loadEngineConfig(env);
      const { db } = resources.use(
        await openLedger({ url: config.DATABASE_URL.href, applicationName: "actions-archive logs", maxConnections: 1, log }),
      );
      const place = await findArchivedLog(db, jobId);
      if (json) return printJson(context, { job_id: jobId, ...place });
      const store = resources.use(await openStore(config));
      const text = readLog(store, place.log_key, {
        sizeBytes: place.stored_bytes ?? undefined,
        versionId: place.log_version_id ?? undefined,
      });
      await (raw
        ? pipeline(Readable.from(text), context.stdout, { end: false })
        : pipeline(Readable.from(text), new TerminalSafe(), context.stdout, { end: false }));
    });
}

// Says what became of a log that cannot be printed: absent, failed, pending, or never seen.
async function findArchivedLog(db: Database, jobId: number) {
  const place = await findLog(db, jobId);
  if (place?.log_key != null) return { ...place, log_key: place.log_key };
  const job = await findObligation(db, jobId);
  if (place === undefined && job === undefined)
    throw new PermanentError(
      "usage/invalid",
      `No job ${jobId} is known. Its repository may not be archived, or its run not listed yet: actions-archive status`,
    );
  const state = place?.log_state ?? job?.log_state ?? "pending";
  const reason = place?.log_reason ?? job?.log_reason;
  throw new PermanentError(
    "usage/invalid",
    `The log of job ${jobId}${job ? ` of run ${job.run_id} in ${job.full_name}` : ""} is ${state}${reason ? `: ${reason}` : ""}`,
  );
}
