// `logs JOB_ID`: prints an archived log or one of its steps, safe for a terminal.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { readLog } from "@actions-archive/archive/log/read-log";
import { openStore } from "@actions-archive/archive/open-store";
import { type Command, InvalidArgumentError } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, printJson } from "../command-context.ts";
import { findArchivedLog } from "../logs/find-log.ts";
import { findStep, readStep } from "../logs/read-step.ts";
import { parseJobId } from "../parse-job-id.ts";
import { TerminalSafe } from "../terminal-safe.ts";

type LogsOptions = { step?: number; raw?: true; json?: true };

const examples = `
Examples:
  actions-archive logs 399444496
  actions-archive logs 399444496 --step 4
  actions-archive logs 399444496 --raw | sha256sum
  actions-archive logs 399444496 --step 4 --json

Steps have GitHub's numbers, as audit.steps has them. Where lines cannot be attributed to a step, only the whole log holds them.`;

export function addLogs(program: Command, context: CommandContext): void {
  program
    .command("logs")
    .argument("<job-id>", "GitHub's id of the job", parseJobId)
    .option("--step <number>", "only the lines of one step", parseStepNumber)
    .option("--raw", "the bytes as GitHub served them, byte order marks included")
    .option("--json", "the log's location as one JSON document, instead of its text")
    .addHelpText("after", examples)
    .action(async (jobId: number, { step: stepNumber, raw, json }: LogsOptions) => {
      await using resources = new AsyncDisposableStack();
      const { db, config } = await attachLedger(context, { command: "logs", resources, uses: ["DATABASE_URL", "ARCHIVE_URL"] });
      const found = await findArchivedLog(db, jobId);
      const store = resources.use(await openStore(config));
      const step = stepNumber === undefined ? undefined : await findStep({ db, store }, found, { jobId, stepNumber });
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
    });
}

function parseStepNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("must be a step's number, as GitHub counts them");
  return Number(text);
}
