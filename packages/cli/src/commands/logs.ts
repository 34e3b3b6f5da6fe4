// `logs`: prints an archived log, one of its steps, or the logs of a run, safe for a terminal.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { readLog } from "@actions-archive/archive/log/read-log";
import { openStore } from "@actions-archive/archive/open-store";
import { type Command, InvalidArgumentError } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, printJson } from "../command-context.ts";
import { findArchivedLog } from "../logs/find-log.ts";
import { type JobArgument, parseJobArgument } from "../logs/job-argument.ts";
import { type Archive, findJobs, printJobs } from "../logs/print-run.ts";
import { findStep, readStep } from "../logs/read-step.ts";
import { parseCount } from "../parse-option.ts";
import { TerminalSafe } from "../terminal-safe.ts";

type LogsOptions = { run?: number; step?: number; failed?: true; raw?: true; json?: true };

const examples = `
Examples:
  actions-archive logs 399444496
  actions-archive logs 399444496 --step 4
  actions-archive logs 399444496 --failed
  actions-archive logs https://github.com/octo-org/api/actions/runs/29679449/job/399444496
  actions-archive logs --run 29679449 --failed
  actions-archive logs 399444496 --raw | sha256sum
  actions-archive logs 399444496 --step 4 --json

Steps have GitHub's numbers, as audit.steps has them. Where lines cannot be attributed to a step, only the whole log holds them.`;

export function addLogs(program: Command, context: CommandContext): void {
  program
    .command("logs")
    .argument("[job]", "GitHub's id of the job, or the address of its page", parseJobArgument)
    .option("--run <id>", "the logs of all jobs of a run's last attempt, each under a heading", parseCount)
    .option("--step <number>", "only the lines of one step", parseStepNumber)
    .option("--failed", "only the steps that failed, each under a heading")
    .option("--raw", "the bytes as GitHub served them, byte order marks included")
    .option("--json", "the log's location as one JSON document, instead of its text")
    .addHelpText("after", examples)
    .action(async (job: JobArgument | undefined, options: LogsOptions) => {
      const choice = chooseLogs(job, options);
      await using resources = new AsyncDisposableStack();
      const { db, config } = await attachLedger(context, { command: "logs", resources, uses: ["DATABASE_URL", "ARCHIVE_URL"] });
      const store = resources.use(await openStore(config));
      // Awaited here: the store is closed when this function ends.
      if (choice.kind === "one") return await printOne(context, { db, store }, choice, options);
      const jobs = await findJobs(db, choice);
      if (options.json) return printJson(context, { run_id: choice.runId ?? null, jobs });
      await printJobs(context, { db, store }, { jobs, options });
    });
}

type Choice =
  | { readonly kind: "one"; readonly jobId: number; readonly stepNumber: number | undefined }
  | { readonly kind: "several"; readonly jobId?: number | undefined; readonly runId?: number | undefined };

function chooseLogs(job: JobArgument | undefined, { run, step, failed }: LogsOptions): Choice {
  if ((job === undefined) === (run === undefined))
    throw new InvalidArgumentError("Name a job, or a run with --run: actions-archive jobs lists them.");
  if (step !== undefined && (failed || run !== undefined))
    throw new InvalidArgumentError("--step goes with one job, and neither with --run nor with --failed.");
  if (job === undefined) return { kind: "several", runId: run };
  if (failed) return { kind: "several", jobId: job.jobId };
  return { kind: "one", jobId: job.jobId, stepNumber: step ?? job.stepNumber };
}

async function printOne(
  context: CommandContext,
  archive: Archive,
  { jobId, stepNumber }: Extract<Choice, { kind: "one" }>,
  { raw, json }: LogsOptions,
): Promise<void> {
  const { db, store } = archive;
  const found = await findArchivedLog(db, jobId);
  const step = stepNumber === undefined ? undefined : await findStep(archive, found, { jobId, stepNumber });
  if (json) return printJson(context, { job_id: jobId, ...found, ...(step ? { step } : {}) });
  const text = step
    ? readStep(store, found, step)
    : readLog(store, found.log_key, {
        sizeBytes: found.stored_bytes ?? undefined,
        rawBytes: found.raw_bytes ?? undefined,
        versionId: found.log_version_id ?? undefined,
      });
  await (raw
    ? pipeline(Readable.from(text), context.stdout, { end: false })
    : pipeline(Readable.from(text), new TerminalSafe(), context.stdout, { end: false }));
}

function parseStepNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("must be a step's number, as GitHub counts them");
  return Number(text);
}
