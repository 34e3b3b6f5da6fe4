// GitHub's ids and the two references that name a thing everywhere: a run's attempt and a job.

import { z } from "zod";

/** A GitHub id: above 2^31 since 2020, far below 2^53, so a number is exact. */
export const GitHubId = z.int().positive();

/** Where a job lives. Names are never part of a reference: they change, ids do not. */
export const JobRef = z.object({ repository_id: GitHubId, run_id: GitHubId, job_id: GitHubId });
export type JobRef = z.output<typeof JobRef>;

/** One attempt of a run; attempts count from 1. */
export const AttemptRef = z.object({ repository_id: GitHubId, run_id: GitHubId, run_attempt: z.int().positive() });
export type AttemptRef = z.output<typeof AttemptRef>;
