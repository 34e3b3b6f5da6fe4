// Two owners with rows in every table that a view reads, and logins to query them.

import { randomBytes } from "node:crypto";

import type { TestDatabase } from "@actions-archive/testkit/test-database";
import pg from "pg";

import { claimIdentity } from "../src/ledger/identity.ts";

export type Login = AsyncDisposable & {
  readonly name: string;
  readonly url: string;
  /** Rows of one statement, or of the last of several. */
  readonly ask: (statement: string) => Promise<Record<string, unknown>[]>;
};

type LoginOptions = {
  /** Creates the role, whose name is a plain identifier; its password is set afterwards. */
  readonly make: (name: string) => string;
};

/** Creates a role with the statement and connects as it. Disposing closes the connection and drops the role. */
export async function openLogin({ pool, url }: TestDatabase, { make }: LoginOptions): Promise<Login> {
  const name = `login_${randomBytes(6).toString("hex")}`;
  const password = randomBytes(12).toString("hex");
  await pool.query(make(name));
  await pool.query(`alter role ${name} login password '${password}'`);
  const address = new URL(url);
  address.username = name;
  address.password = password;
  const client = new pg.Client({ connectionString: address.href });
  await client.connect();
  return {
    name,
    url: address.href,
    ask: async (statement) => {
      // pg returns several results for several statements, which its types omit.
      const answer: unknown = await client.query(statement);
      const last = (Array.isArray(answer) ? answer.at(-1) : answer) as pg.QueryResult<Record<string, unknown>>;
      return last.rows;
    },
    async [Symbol.asyncDispose]() {
      await client.end();
      await pool.query("delete from archive.auditor_owners where role = $1", [name]);
      await pool.query(`drop owned by ${name}; drop role ${name}`);
    },
  };
}

/** An auditor's login, of all owners by default. */
export function openAuditor(database: TestDatabase, owners?: readonly string[]): Promise<Login> {
  const list = owners ? `array[${owners.map((owner) => `'${owner}'`).join(", ")}]::text[]` : "null";
  return openLogin(database, { make: (name) => `select archive.create_auditor('${name}', ${list})` });
}

/** The owner whose rows others must not see. Every text of its rows contains the name. */
export const foreignOwner = "umbrella";
export const ownOwner = "acme";

/** Rows of both owners, so that every view shows some of each. */
export async function seedOwners({ db, pool }: TestDatabase): Promise<void> {
  await claimIdentity(db, { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host: "github.com" });
  await pool.query(`insert into archive.seals (sequence, sealed_at, entries, previous_sha256, sha256, key_id, published_at)
    values (1, now(), 4, repeat('0', 64), repeat('1', 64), 'key', now())`);
  for (const [index, owner] of [ownOwner, foreignOwner].entries()) await pool.query(seed(owner, (index + 1) * 1_000_000_000_000));
}

function seed(owner: string, id: number): string {
  const hash = id.toString().padEnd(64, "0");
  return `
    insert into archive.repositories (repository_id, full_name) values (${id}, '${owner}/app');
    insert into archive.unreadable_repositories (name, problem) values ('${owner}/secret', '${owner} is not readable');
    insert into archive.windows values (${id}, '2026-05-01', '2026-05-02', now());
    insert into archive.full_seconds values (${id}, '2026-05-03', now());
    insert into archive.runs (run_id, repository_id, run_attempt, workflow_name, event, actor, head_branch, created_at)
      select ${id} + run, ${id}, 1, '${owner} CI', 'push', '${owner}-actor', '${owner}-branch', '2026-05-01' from generate_series(1, 3) as run;
    insert into archive.attempts (run_id, run_attempt, repository_id, state, status)
      values (${id} + 1, 1, ${id}, 'listed', 'completed'), (${id} + 2, 1, ${id}, 'gone', null), (${id} + 3, 1, ${id}, 'open', '${owner}');
    insert into archive.log_jobs
      (job_id, repository_id, run_id, run_attempt, last_listed_attempt, object, object_source, object_received_at, log_state, log_reason, log_detail, rows_loaded_at)
      select ${id} + job, ${id}, ${id} + 1, 1, 1, '{}', 'listing', now(), state, reason, '${owner} detail', loaded
      from (values (1, 'archived', null, now()), (2, 'pending', null, null), (3, 'failed', 'forbidden', now())) as jobs (job, state, reason, loaded);
    select archive.make_partitions(array[${id} + 1]);
    insert into archive.jobs (job_id, repository_id, run_id, run_attempt, last_listed_attempt, job_name, status, completed_at)
      select ${id} + job, ${id}, ${id} + 1, 1, 1, '${owner} build', 'completed', '2026-05-01' from generate_series(1, 3) as job;
    insert into archive.steps (job_id, step_number, step_name) values (${id} + 1, 1, '${owner} step');
    insert into archive.sections values (${id} + 1, 1, 1, 1, 0, 10);
    insert into archive.logs (job_id, log_state, log_key, raw_sha256, record_key, record_version, record_sha256)
      values (${id} + 1, 'archived', 'logs/${owner}', '${hash}', 'records/${owner}', 1, '${hash}');
    insert into archive.action_uses (job_id, position, action, line_number) values (${id} + 1, 0, '${owner}/checkout', 1);
    insert into archive.permissions values (${id} + 1, 'Contents', '${owner} write');
    insert into archive.log_facts (job_id, machine) values (${id} + 1, '${owner}-machine');
    insert into archive.annotations (job_id, line_number, level, message) values (${id} + 1, 1, 'error', '${owner} failed');
    insert into archive.objects (object_key, size_bytes, sha256, repository_id, run_id, job_id, sealed_in)
      select 'records/${owner}/' || job, ${id} + job, '${hash}', ${id}, ${id} + 1, ${id} + job, 1 from generate_series(1, 2) as job;
    insert into archive.damages (object_key, finding, repository_id, job_id)
      values ('logs/${owner}/1', 'missing', ${id}, ${id} + 1), ('runs/${owner}/1', 'damaged', ${id}, null);
    insert into archive.holds (job_id, is_held, reason) values (${id} + 1, true, '${owner} is sued');
    insert into archive.retention_policies (name, keep_days) values ('${owner}', 400), ('${owner}/app', 90);
    insert into archive.tombstones (object_key, job_id, repository_id, size_bytes, sha256, cause, reason)
      values ('logs/${owner}', ${id} + 2, ${id}, 1, '${hash}', 'erase', '${owner} asked for it');
    with asked as (
      insert into archive.backfills (asked_for, since, until) values (array['${owner}/app'], '2020-01-01', '2021-01-01') returning backfill_id
    ) insert into archive.backfill_repositories (backfill_id, repository_id, listed_from, problem)
      select backfill_id, ${id}, '2021-01-01', '${owner} does not answer' from asked;
    insert into archive.backfill_steps (backfill_id, step, asked_for, repository_ids, since, until, by, os_user, reason)
    values (1, 'begin', array['${owner}/app'], array[${id}::bigint], '2020-01-01', '2021-01-01', '${owner} admin', '${owner}', '${owner} redelivery_requests');
    insert into archive.retries (job_id, repository_id, failed_for, by, os_user, reason)
    values (${id} + 1, ${id}, 'forbidden', '${owner} admin', '${owner}', '${owner} redelivery_requests');`;
}
