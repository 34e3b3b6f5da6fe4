// `jobs`: lists completed jobs by what an operator knows of them.

import { LogState } from "@actions-archive/core/states";
import { findJobs, type JobChoice } from "@actions-archive/database/audit/find-jobs";
import { type Command, Option } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print, printJson } from "../command-context.ts";
import { formatJobs } from "../jobs/format-jobs.ts";
import { parseCount, parseInstant } from "../parse-option.ts";
import { printCsv } from "../print-csv.ts";

type JobsOptions = Omit<JobChoice, "limit" | "runId"> & { limit: number; run?: number; json?: true; csv?: true };

const defaultLimit = 30;

export function addJobs(program: Command, context: CommandContext): void {
  program
    .command("jobs")
    .option("--repository <owner/name>", "of one repository")
    .option("--workflow <name>", "of one workflow, by its name or file")
    .option("--branch <branch>", "of one branch or tag")
    .option("--conclusion <conclusion>", "that ended so: success, failure, cancelled, skipped, timed_out, …")
    .addOption(new Option("--state <state>", "whose log is in this state").choices(LogState.options))
    .option("--run <id>", "of one run", parseCount)
    .option("--since <date>", "completed since then: a date, or days before now", parseInstant)
    .option("--until <date>", "completed before then", parseInstant)
    .option("--limit <number>", "how many at most", parseCount, defaultLimit)
    .option("--json", "one JSON document: jobs, and whether there are more")
    .addOption(
      new Option("--csv", "RFC 4180, with an apostrophe before what a spreadsheet would take for a formula").conflicts("json"),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  actions-archive jobs --repository my-org/app --conclusion failure --since 7\n  actions-archive jobs --state failed --json | jq '.jobs[].job_id'\n  actions-archive jobs --workflow ci.yml --branch main --limit 100 --csv\n\nThe log of a job: actions-archive logs JOB_ID. The view audit.jobs holds more columns.",
    )
    .action(async ({ run, json, csv, limit, ...choice }: JobsOptions) => {
      await using resources = new AsyncDisposableStack();
      const { pool } = await attachLedger(context, { command: "jobs", resources });
      // One more than the limit shows whether there are more.
      const found = await findJobs(pool, { ...choice, runId: run, limit: limit + 1 });
      const answer = { ...found, rows: found.rows.slice(0, limit), texts: found.texts.slice(0, limit) };
      const hasMore = found.rows.length > limit;
      if (csv) printCsv(context, answer);
      else if (json) printJson(context, { jobs: answer.rows, truncated: hasMore });
      else print(context, formatJobs(answer.rows, { hasMore, now: new Date() }));
    });
}
