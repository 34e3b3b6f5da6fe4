// Schemas of GitHub's objects, as lenient as possible: status and conclusion are open sets, older servers omit fields, and null occurs
// where the published description forbids it. No schema transforms: objects are passed on as received, including unknown keys.

import { GitHubId } from "@actions-archive/core/ids";
import { z } from "zod";

const text = z.string().nullish();
/** An instant with its offset, as received: GitHub writes `Z`, `.000Z`, `.000+08:00` and `.000-07:00`. */
const time = z.string().nullish();

const Account = z.looseObject({ id: GitHubId, login: z.string(), type: text });

/** https://docs.github.com/en/rest/repos/repos#get-a-repository */
export const Repository = z.looseObject({
  id: GitHubId,
  name: z.string(),
  full_name: z.string(),
  owner: Account,
  private: z.boolean().nullish(),
  archived: z.boolean().nullish(),
  disabled: z.boolean().nullish(),
  created_at: time,
  pushed_at: time,
});
export type Repository = z.output<typeof Repository>;

/** A run in lists and single responses: https://docs.github.com/en/rest/actions/workflow-runs */
export const WorkflowRun = z.looseObject({
  id: GitHubId,
  name: text,
  path: text,
  workflow_id: z.number().nullish(),
  run_number: z.number().nullish(),
  /** Missing on a GHES of 2021, where only the first attempt can be identified. */
  run_attempt: z.number().nullish(),
  event: text,
  status: text,
  conclusion: text,
  head_branch: text,
  head_sha: text,
  /** Unchanged by a re-run, unlike `run_started_at` and `updated_at`. */
  created_at: z.string(),
  updated_at: time,
  run_started_at: time,
  actor: Account.partial().nullish(),
  triggering_actor: Account.partial().nullish(),
  previous_attempt_url: text,
  repository: z.looseObject({ id: GitHubId, full_name: z.string() }).nullish(),
  /** Null once the fork is deleted. */
  head_repository: z.looseObject({}).nullish(),
});
export type WorkflowRun = z.output<typeof WorkflowRun>;

/** Numbers have gaps in most jobs, so a step is identified by its number and never by its position. */
export const WorkflowStep = z.looseObject({
  number: z.int(),
  name: text,
  status: text,
  conclusion: text,
  started_at: time,
  completed_at: time,
});
export type WorkflowStep = z.output<typeof WorkflowStep>;

/** https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run */
export const WorkflowJob = z.looseObject({
  id: GitHubId,
  run_id: GitHubId,
  run_attempt: z.number().nullish(),
  name: text,
  workflow_name: text,
  head_branch: text,
  head_sha: text,
  status: text,
  conclusion: text,
  created_at: time,
  /** Null has occurred, although the description forbids it. */
  started_at: time,
  completed_at: time,
  runner_id: z.number().nullish(),
  runner_name: text,
  runner_group_id: z.number().nullish(),
  runner_group_name: text,
  labels: z.array(z.string()).nullish(),
  /** Missing on older servers; empty for old jobs whose steps GitHub dropped, and for check runs that are listed as jobs. */
  steps: z.array(WorkflowStep).nullish(),
});
export type WorkflowJob = z.output<typeof WorkflowJob>;

/** An App's installation on an account. An enterprise has no login and no repositories of its own. */
export const Installation = z.looseObject({
  id: GitHubId,
  account: z.looseObject({ login: text }).nullish(),
  suspended_at: time,
});
export type Installation = z.output<typeof Installation>;
