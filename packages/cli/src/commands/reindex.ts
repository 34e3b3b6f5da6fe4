// `reindex`: reads archived logs again and writes what the current extraction derives from them.

import { extractionVersion } from "@actions-archive/archive/log/facts/extraction";
import { openArchive } from "@actions-archive/archive/open-archive";
import { retryingStore } from "@actions-archive/archive/store/retrying-store";
import { PermanentError } from "@actions-archive/core/errors";
import { hasRepository } from "@actions-archive/database/audit/search-jobs";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findIdentity } from "@actions-archive/database/ledger/identity";
import { listLogStatuses } from "@actions-archive/database/ledger/log-states";
import { measureRereads, type RereadChoice } from "@actions-archive/database/ledger/rereads";
import { reindex, type ReindexTotals } from "@actions-archive/loader/reread/reread-logs";
import type { Command } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, createCommandLogger, exitIncomplete, print, printJson, stopOnSignal } from "../command-context.ts";
import { formatTable } from "../format-table.ts";
import { parseJobId } from "../parse-job-id.ts";
import { parseInstant } from "../parse-option.ts";
import { openProgress } from "../progress.ts";

type ReindexOptions = { job?: number[]; repository?: string; since?: Date; until?: Date; json?: true };

const maxPrinted = 50;

const examples = `
Examples:
  actions-archive reindex
  actions-archive reindex --repository my-org/app --since 30
  actions-archive reindex --job 399444496 --job 399444497
  actions-archive reindex --json | jq .failed

Reads the archived logs that an older version of the extraction read, and those whose job object shows more steps now than the one that
their record was written with; with --job these, in any case. Steps, action uses, annotations and the other facts of each are written as
the next version of its record, which is sealed like every object, and loaded. Logs are read only: their SHA-256 must be the recorded
one. A removed log is not read.

Loaders do the same by themselves, slowly. Both may run at once. When it is stopped or killed, run it again: what is done is not read
twice. Needs the database and the store; neither GitHub nor a queue.

Ends with 0 when all were read, 3 when some could not be (they are listed; status counts them, and loaders retry them), 2 when the store or
the database does not answer, or a job has no archived log.`;

export function addReindex(program: Command, context: CommandContext): void {
  program
    .command("reindex")
    .option("--job <id>", "this job's log, unconditionally; may be repeated", collectJobId)
    .option("--repository <owner/name>", "only this repository")
    .option("--since <date>", "jobs that completed since: a date, or days before now", parseInstant)
    .option("--until <date>", "jobs that completed before: a date, or days before now", parseInstant)
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async ({ json, job: jobIds, ...rest }: ReindexOptions) => {
      await using resources = new AsyncDisposableStack();
      const signal = stopOnSignal();
      const uses = ["DATABASE_URL", "ARCHIVE_URL"] as const;
      const { db, config } = await attachLedger(context, { command: "reindex", resources, uses, maxConnections: 10 });
      const choice: RereadChoice = { ...rest, jobIds };
      await checkChoice(db, choice);
      const identity = await findIdentity(db);
      if (identity === undefined) throw new PermanentError("usage/invalid", "Nothing is archived yet: there is no log to read");
      const { host, archive_id: archiveId } = identity;
      const { store } = resources.use(await openArchive(config, { host, archiveId }));
      const log = createCommandLogger(context, "fatal");
      const owed = jobIds?.length ?? (await measureRereads(db, extractionVersion, choice));
      using progress = openProgress(context.stderr);
      const onProgress = (totals: ReindexTotals) => progress.show(progressReport(totals, owed));
      const totals = await reindex({ db, store: retryingStore(store), host, log }, { choice, signal, onProgress });
      progress[Symbol.dispose]();
      const report = { extraction_version: extractionVersion, ...totals };
      if (json) printJson(context, report);
      else print(context, formatReport(report));
      process.exitCode = totals.failed.length > 0 ? exitIncomplete : 0;
    });
}

function collectJobId(text: string, earlier: number[] | undefined): number[] {
  return [...(earlier ?? []), parseJobId(text)];
}

/** @throws PermanentError for an unknown repository or job, and for a job without an archived log; then nothing is read. */
async function checkChoice(db: Database, { jobIds, repository, since, until }: RereadChoice): Promise<void> {
  if (jobIds !== undefined && (repository ?? since ?? until) !== undefined)
    throw new PermanentError("usage/invalid", "--job names the logs itself: give it alone, or --repository, --since and --until");
  if (repository !== undefined && !(await hasRepository(db, repository)))
    throw new PermanentError(
      "usage/invalid",
      `No repository ${repository} is known to this archive: actions-archive status lists them`,
    );
  if (jobIds === undefined) return;
  const states = new Map((await listLogStatuses(db, jobIds)).map((state) => [state.job_id, state]));
  const wrong = jobIds.flatMap((id) => {
    const job = states.get(id);
    if (job === undefined) return [`No job ${id} is known`];
    if (job.log_state === "archived") return [];
    const reason = job.log_reason === null ? "" : `: ${job.log_reason}`;
    return [`The log of job ${id} of run ${job.run_id} in ${job.repository} is ${job.log_state}${reason}`];
  });
  if (wrong.length > 0) throw new PermanentError("usage/invalid", `${wrong.join(". ")}. Nothing was read`);
}

function progressReport({ read, written, failed }: ReindexTotals, owed: number) {
  const details = [`${written} new records`, ...(failed.length > 0 ? [`${failed.length} failed`] : [])];
  return { done: read, total: Math.max(owed, read), unit: "logs", details };
}

function formatReport({ extraction_version, read, written, failed }: ReindexTotals & { extraction_version: number }): string {
  const lines = [
    `Read ${read} archived ${read === 1 ? "log" : "logs"} with version ${extraction_version} of the extraction: ${written} new ${written === 1 ? "record" : "records"}.`,
  ];
  if (failed.length > 0) {
    lines.push("", `${failed.length} could not be read:`, formatTable(failed.slice(0, maxPrinted)));
    if (failed.length > maxPrinted) lines.push(`… and ${failed.length - maxPrinted} more; --json lists all.`);
  }
  return lines.join("\n");
}
