// The job of `logs`: its id, or the address of its page at GitHub.

import { InvalidArgumentError } from "commander";

import { parseJobId } from "../parse-job-id.ts";

export type JobArgument = {
  readonly jobId: number;
  /** The step that the address points to: `#step:3:120`. */
  readonly stepNumber: number | undefined;
};

// https://HOST/OWNER/REPOSITORY/actions/runs/RUN/job/JOB, also with /attempts/N and ?pr=…, as a browser shows it.
const address =
  /^https?:\/\/[^/\s]+\/[^/\s]+\/[^/\s]+\/actions\/runs\/\d+(?:\/attempts\/\d+)?\/jobs?\/(\d+)(?:\?[^#\s]*)?(?:#step:(\d+)(?::\d+)?)?$/;

/** @throws InvalidArgumentError for anything else. */
export function parseJobArgument(text: string): JobArgument {
  if (!text.includes("/")) return { jobId: parseJobId(text), stepNumber: undefined };
  const [, job, step] = address.exec(text) ?? [];
  if (job === undefined)
    throw new InvalidArgumentError(
      "must be a job's id, or the address of its page: https://HOST/OWNER/NAME/actions/runs/RUN/job/JOB",
    );
  return { jobId: parseJobId(job), stepNumber: step === undefined ? undefined : Number(step) };
}
