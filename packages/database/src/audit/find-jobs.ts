// Completed jobs by what an operator knows of them, newest first.

import type pg from "pg";

import { type Answer, answerAsAuditor } from "./auditor.ts";

export type JobChoice = {
  /** `owner/name`, whatever its case. */
  readonly repository?: string | undefined;
  /** A workflow's name, or its file's. */
  readonly workflow?: string | undefined;
  readonly branch?: string | undefined;
  readonly conclusion?: string | undefined;
  readonly state?: string | undefined;
  readonly runId?: number | undefined;
  /** Half-open, by `completed_at`. */
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly limit: number;
};

const columns = `repository, run_id, run_attempt, job_id, workflow_name, job_name, head_branch, conclusion,
  log_state, log_reason, completed_at, duration_seconds, log_bytes`;

/**
 * The newest `limit` jobs of the choice, read as the auditor.
 * @throws PermanentError `usage/invalid` with Postgres's own words when it refuses the query.
 */
export async function findJobs(pool: pg.Pool, choice: JobChoice): Promise<Answer> {
  const { repository, workflow, branch, conclusion, state, runId, since, until, limit } = choice;
  const values: string[] = [];
  const conditions: string[] = [];
  // Only these texts become part of the statement; what was typed is bound.
  const add = (value: string | undefined, condition: (parameter: string) => string) => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition(`($1)[${values.length}]`));
  };
  add(repository, (p) => `lower(repository) = lower(${p})`);
  add(workflow, (p) => `(workflow_name = ${p} or split_part(workflow_path, '@', 1) in (${p}, '.github/workflows/' || ${p}))`);
  add(branch, (p) => `head_branch = ${p}`);
  add(conclusion, (p) => `conclusion = ${p}`);
  add(state, (p) => `log_state = ${p}`);
  add(runId === undefined ? undefined : String(runId), (p) => `run_id = ${p}::bigint`);
  add(since?.toISOString(), (p) => `completed_at >= ${p}::timestamptz`);
  add(until?.toISOString(), (p) => `completed_at < ${p}::timestamptz`);
  values.push(String(limit));
  const where = conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`;
  const statement = `select ${columns} from audit.jobs ${where}
    order by completed_at desc nulls last, job_id desc limit ($1)[${values.length}]::bigint`;
  return answerAsAuditor(pool, statement, values);
}
