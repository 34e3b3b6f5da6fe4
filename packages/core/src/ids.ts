// GitHub's ids, and references to a job and to an attempt of a run.

import { z } from "zod";

/** A GitHub id: above 2^31 since 2020, but far below 2^53, so a number is exact. */
export const GitHubId = z.int().positive();

/** A job. References contain ids only, since names change. */
export const JobRef = z.object({ repository_id: GitHubId, run_id: GitHubId, job_id: GitHubId });
export type JobRef = z.output<typeof JobRef>;

/** One attempt of a run; attempts are numbered from 1. */
export const AttemptRef = z.object({ repository_id: GitHubId, run_id: GitHubId, run_attempt: z.int().positive() });
export type AttemptRef = z.output<typeof AttemptRef>;
