// Prints the logs of several jobs, or their failed steps alone, each under a heading.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { readLog } from "@actions-archive/archive/log/read-log";
import type { Store } from "@actions-archive/archive/store/store";
import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { findJobOfRun, findSection, type JobOfRun, listJobsOfRun, listSteps } from "@actions-archive/database/audit/logs";
import type { Database } from "@actions-archive/database/connection/open-database";

import type { CommandContext } from "../command-context.ts";
import { makeSafe, TerminalSafe } from "../terminal-safe.ts";
import { type FoundLog, findArchivedLog } from "./find-log.ts";
import { readStep } from "./read-step.ts";

/** How a job or a step ends that failed. https://docs.github.com/en/rest/actions/workflow-jobs */
const failedConclusions: readonly (string | null)[] = ["failure", "timed_out", "startup_failure"];

export type Archive = { readonly db: Database; readonly store: Store };
export type PrintOptions = { readonly failed?: true; readonly raw?: true };
type Part = { readonly heading: string; readonly text: AsyncIterable<Buffer> };

/** @throws PermanentError `usage/invalid` when no completed job of the run, or no such job, is known. */
export async function findJobs(
  db: Database,
  { runId, jobId }: { readonly runId?: number | undefined; readonly jobId?: number | undefined },
): Promise<readonly JobOfRun[]> {
  if (jobId !== undefined) {
    const job = await findJobOfRun(db, jobId);
    // The reason why there is no log to print names the job that is not known.
    if (job === undefined) await findArchivedLog(db, jobId);
    return job === undefined ? [] : [job];
  }
  const jobs = runId === undefined ? [] : await listJobsOfRun(db, runId);
  if (jobs.length > 0) return jobs;
  throw new PermanentError(
    "usage/invalid",
    `No completed job of run ${runId} is known. Its repository may not be archived, or its run not listed yet: actions-archive status`,
  );
}

/**
 * Prints the parts of these jobs. A job without a log is named on stderr, and does not stop the others.
 * @throws PermanentError `usage/invalid` when nothing could be printed, with the reason of each job.
 */
export async function printJobs(
  context: CommandContext,
  archive: Archive,
  { jobs, options }: { readonly jobs: readonly JobOfRun[]; readonly options: PrintOptions },
): Promise<void> {
  const chosen = options.failed ? jobs.filter(({ conclusion }) => failedConclusions.includes(conclusion)) : jobs;
  const reasons: string[] = [];
  let printed = 0;
  for (const job of chosen) {
    try {
      const log = await findArchivedLog(archive.db, job.job_id);
      const parts = options.failed ? await failedParts(archive, log, job) : [wholeLog(archive, log, job)];
      if (parts.length === 0)
        reasons.push(`Job ${job.job_id} (${job.job_name ?? ""}): no lines are known to be of a failed step`);
      for (const part of parts) printed += await printPart(context, part, options);
    } catch (error) {
      if (!(error instanceof PermanentError) || error.code !== "usage/invalid") throw error;
      reasons.push(errorMessage(error));
    }
  }
  if (printed > 0) return void (reasons.length > 0 && context.stderr.write(makeSafe(`${reasons.join("\n")}\n`)));
  const listed = jobs.map(
    ({ job_id, job_name, conclusion }) => `  ${job_id}  ${job_name ?? ""} (${conclusion ?? "no conclusion"})`,
  );
  const why = chosen.length === 0 ? ["No job failed. The jobs are:", ...listed] : reasons;
  throw new PermanentError("usage/invalid", why.join("\n"));
}

function wholeLog({ store }: Archive, log: FoundLog, { job_id, job_name }: JobOfRun): Part {
  const options = {
    sizeBytes: log.stored_bytes ?? undefined,
    rawBytes: log.raw_bytes ?? undefined,
    versionId: log.log_version_id ?? undefined,
  };
  return { heading: `${job_name ?? ""} (job ${job_id})`, text: readLog(store, log.log_key, options) };
}

async function failedParts({ db, store }: Archive, log: FoundLog, { job_id, job_name }: JobOfRun): Promise<Part[]> {
  const parts: Part[] = [];
  for (const { step_number, step_name, conclusion } of await listSteps(db, job_id)) {
    if (!failedConclusions.includes(conclusion)) continue;
    const section = await findSection(db, job_id, step_number);
    if (section === undefined) continue;
    const heading = `${job_name ?? ""} (job ${job_id}), step ${step_number}: ${step_name ?? ""}`;
    parts.push({ heading, text: readStep(store, log, section) });
  }
  return parts;
}

async function printPart({ stdout }: CommandContext, { heading, text }: Part, { raw }: PrintOptions): Promise<1> {
  stdout.write(makeSafe(`==> ${heading} <==\n`));
  await (raw
    ? pipeline(Readable.from(text), stdout, { end: false })
    : pipeline(Readable.from(text), new TerminalSafe(), stdout, { end: false }));
  stdout.write("\n");
  return 1;
}
