// `retry`: retries failed logs immediately.

import { PermanentError } from "@actions-archive/core/errors";
import { FailedReason } from "@actions-archive/core/states";
import type { Database } from "@actions-archive/database/connection/open-database";
import { listLogStatuses, retryFailedLogs } from "@actions-archive/database/ledger/log-states";
import { type Command, Option } from "commander";

import { addBy, ascriptionOf } from "../ascription.ts";
import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { countText } from "../count-text.ts";
import { formatTable } from "../format-table.ts";
import { parseJobId } from "../parse-job-id.ts";

type RetryOptions = { by?: string; why?: string; reason?: FailedReason; repository?: string; json?: true };

const maxPrintedChars = 50;

export function addRetry(program: Command, context: CommandContext): void {
  addBy(program.command("retry"))
    .argument("[job-id...]", "GitHub's ids of jobs", (text: string, ids: number[]) => [...ids, parseJobId(text)], [])
    .addOption(new Option("--reason <reason>", "only logs that failed for this reason").choices(FailedReason.options))
    .option("--repository <owner/name>", "only logs of this repository")
    .option("--why <text>", "why the logs are retried, for the auditor; it is sealed (--reason selects by the logs' reason)")
    .option("--json", "one JSON document")
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive retry\n  actions-archive retry 399444496\n  actions-archive retry --reason forbidden --repository my-org/app --why 'permission granted, CHG-7'\n\naudit.retries shows who retried which logs, and why. Running workers retry them at once; otherwise the next start does.",
    )
    .action(async (jobIds: number[], { json, by, why, ...choice }: RetryOptions) => {
      const ascription = ascriptionOf({ ...(by !== undefined && { by }), ...(why !== undefined && { reason: why }) });
      await using resources = new AsyncDisposableStack();
      const { db } = await attachLedger(context, { command: "retry", resources, writes: true });
      if (jobIds.length > 0) await checkFailed(db, jobIds);
      const retried = await retryFailedLogs(db, { ...choice, ...(jobIds.length > 0 ? { jobIds } : {}) }, ascription);
      if (json) return printJson(context, { retried: retried.length, jobs: retried });
      if (retried.length === 0) return print(context, "No log has failed; nothing to retry.");
      const more = retried.length > maxPrintedChars ? `\n… and ${retried.length - maxPrintedChars} more; --json lists all.` : "";
      print(
        context,
        `${countText(retried.length, "failed log is", "failed logs are")} due now:\n\n${formatTable(retried.slice(0, maxPrintedChars))}${more}`,
      );
    });
}

/** @throws PermanentError that names the state of each job whose log has not failed; then nothing is retried. */
async function checkFailed(db: Database, jobIds: readonly number[]): Promise<void> {
  const standings = new Map((await listLogStatuses(db, jobIds)).map((standing) => [standing.job_id, standing]));
  const wrong = jobIds.flatMap((id) => {
    const job = standings.get(id);
    if (job === undefined) return [`No job ${id} is known`];
    if (job.log_state === "failed") return [];
    const reason = job.log_reason === null ? "" : `: ${job.log_reason}`;
    return [`The log of job ${id} of run ${job.run_id} in ${job.repository} has not failed, it is ${job.log_state}${reason}`];
  });
  if (wrong.length > 0) throw new PermanentError("usage/invalid", `${wrong.join(". ")}. Nothing was retried`);
}
