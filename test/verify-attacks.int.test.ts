// Careful attacks with write access to the database: rows and ledger changed alike, rows excused by a removal, views that show other
// values. Each must be found, and the work of an archive or its owner must not be reported.

import { mark } from "@actions-archive/archive/seal/sealed-index";
import { Findings } from "@actions-archive/archive/verify/findings";
import { verifyArchive, type VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import { verifyDatabase } from "@actions-archive/cli/verify/verify-database";
import type { Database } from "@actions-archive/database/connection/open-database";
import { queryIn } from "@actions-archive/database/test-support/raw-sql";
import { repositoryId } from "@actions-archive/database/test-support/samples";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { firstRun, openSealedArchive, type SealedArchive } from "./support/sealed-archive.ts";

let archive: SealedArchive;
let result: VerifyResult;

beforeAll(async () => {
  archive = await openSealedArchive();
  result = await verifyArchive(archive.store, { keys: [archive.publicKey], isDeep: () => false, sealIntervalSeconds: 3600 });
}, 120_000);
afterAll(() => archive[Symbol.asyncDispose]());

async function compare(db: Database): Promise<Findings> {
  const findings = new Findings();
  for (let row = 0; row < result.index.size; row += 1) result.index.set(row, mark.hasRow, false);
  await verifyDatabase({ db, store: archive.store, result: { ...result, findings }, sealIntervalSeconds: 3600 });
  return findings;
}

const undone = new Error("rolled back");

/** @returns the findings after these statements, which are rolled back. */
async function after(statements: readonly string[]): Promise<Findings> {
  let findings = new Findings();
  await archive.db
    .transaction()
    .execute(async (trx) => {
      for (const statement of statements) await queryIn(trx, statement);
      findings = await compare(trx);
      throw undone;
    })
    .catch((error: unknown) => {
      if (error !== undone) throw error;
    });
  return findings;
}

const keysOf = (findings: Findings) => findings.tampering.map(({ key }) => key);
const job = 61_901_817_922;
const lone = 61_901_817_924;
const dropJob = (id: number) =>
  ["steps", "sections", "action_uses", "annotations", "permissions", "log_facts", "logs", "jobs", "log_jobs"].map(
    (table) => `delete from archive.${table} where job_id = ${id}`,
  );
const run = firstRun + 1;
const removal =
  "insert into archive.removals (runs_before, runs, jobs, closed_gaps) values (now() - interval '40 days', 1, 1, 0)";

const attacks: Record<string, { readonly sql: readonly string[]; readonly found: readonly string[] }> = {
  "a conclusion flipped in the rows and in the ledger's object": {
    sql: [
      `update archive.jobs set conclusion = 'zzz' where job_id = ${job}`,
      `update archive.log_jobs set conclusion = 'zzz', object = jsonb_set(object::jsonb, '{conclusion}', '"zzz"')::json where job_id = ${job}`,
    ],
    found: [`archive.jobs ${job}`, `archive.log_jobs ${job}`],
  },
  "a conclusion flipped in the rows, and an object of the ledger added that says so": {
    sql: [
      `update archive.jobs set conclusion = 'zzz' where job_id = ${job}`,
      `update archive.log_jobs set other_objects = array[jsonb_set(object::jsonb, '{conclusion}', '"zzz"')::json] where job_id = ${job}`,
    ],
    found: [`archive.jobs ${job}`],
  },
  "a step's conclusion flipped in the rows and in the ledger's object": {
    sql: [
      `update archive.steps set conclusion = 'zzz' where job_id = ${job} and step_number = 1`,
      `update archive.log_jobs set object = jsonb_set(object::jsonb, '{steps,0,conclusion}', '"zzz"')::json, other_objects = '{}' where job_id = ${job}`,
    ],
    found: [`archive.steps ${job} step_number=1`],
  },
  "everything emptied, and a row of removals": {
    sql: [
      "truncate archive.jobs, archive.steps, archive.logs, archive.sections, archive.action_uses, archive.annotations, archive.permissions, archive.log_facts, archive.log_jobs, archive.attempts, archive.runs, archive.log_leases cascade",
      removal,
    ],
    found: [`archive.jobs ${job}`, `archive.runs ${run}`, `archive.attempts ${run} run_attempt=1`, `archive.log_jobs ${job}`],
  },
  "one job taken out, and a row of removals": { sql: [...dropJob(lone), removal], found: [`archive.jobs ${lone}`] },
  "one job taken out, and a row of removals that claims a seal": {
    sql: [...dropJob(lone), removal, "update archive.removals set sealed_in = 3 where sealed_in is null"],
    found: [`archive.jobs ${lone}`, expect.stringMatching(/^archive\.removals /)],
  },
  ...Object.fromEntries(
    [
      ["actor", "'someone-else'"],
      ["triggering_actor", "'someone-else'"],
      ["event", "'schedule'"],
      ["head_branch", "'release'"],
      ["head_sha", "'00'"],
      ["created_at", "created_at - interval '1 year'"],
      ["repository_id", `${repositoryId + 1}`],
    ].map(([column, value]) => [
      `${column} of a run`,
      { sql: [`update archive.runs set ${column} = ${value} where run_id = ${run}`], found: [`archive.runs ${run}`] },
    ]),
  ),
  "the row of a run": {
    sql: [`delete from archive.attempts where run_id = ${run}`, `delete from archive.runs where run_id = ${run}`],
    found: [`archive.runs ${run}`, `archive.attempts ${run} run_attempt=1`],
  },
  "the row of a run that only the seals know": {
    sql: [
      `delete from archive.attempts where run_id = ${firstRun + 9}`,
      `delete from archive.runs where run_id = ${firstRun + 9}`,
    ],
    found: [`archive.runs ${firstRun + 9}`, `archive.attempts ${firstRun + 9} run_attempt=1`],
  },
  "a run shown as another's, by a newer attempt that is claimed": {
    sql: [
      `update archive.runs set actor = 'someone-else', run_attempt = 2 where run_id = ${run}`,
      `insert into archive.attempts (run_id, run_attempt, repository_id) values (${run}, 2, ${repositoryId})`,
    ],
    found: [`archive.runs ${run}`],
  },
  "a window widened by years": {
    sql: [
      "update archive.windows set window_start = window_start - interval '5 years' where window_start = (select min(window_start) from archive.windows)",
    ],
    found: [expect.stringMatching(/^archive\.windows /)],
  },
  "a window that is not sealed yet, widened by years": {
    sql: [
      "update archive.windows set window_start = window_start - interval '5 years', sealed_in = null, scanned_at = now() where window_start = (select min(window_start) from archive.windows)",
    ],
    found: [expect.stringMatching(/^archive\.windows /)],
  },
  "a window that ends years from now": {
    sql: [
      "update archive.windows set window_end = window_end + interval '5 years', sealed_in = null, scanned_at = now() where window_end = (select max(window_end) from archive.windows)",
    ],
    found: [expect.stringMatching(/^archive\.windows /)],
  },
  "a full second taken away, and its window closed": {
    sql: [
      "delete from archive.full_seconds",
      "update archive.windows set window_end = '2026-04-20T00:00:01Z', scanned_at = '2026-04-21' where window_end = '2026-04-20T00:00:00Z'",
      "update archive.windows set scanned_at = '2026-04-21'",
    ],
    found: [expect.stringMatching(/^archive\.full_seconds /)],
  },
  "an attempt's state": {
    sql: [`update archive.attempts set state = 'open' where run_id = ${run}`],
    found: [`archive.attempts ${run} run_attempt=1`],
  },
  "an attempt that vanished, shown as listed": {
    sql: [
      `update archive.attempts set state = 'listed', listed_at = '2026-05-02', listed_jobs = 0 where run_id = ${firstRun + 9}`,
    ],
    found: [`archive.attempts ${firstRun + 9} run_attempt=1`],
  },
  "how many jobs an attempt has, and a seal that is not waited for": {
    sql: [`update archive.attempts set listed_jobs = 5, sealed_in = null where run_id = ${run}`],
    found: [`archive.attempts ${run} run_attempt=1`],
  },
  "jobs that an attempt misses": {
    sql: [`update archive.attempts set missing_job_ids = '{7}' where run_id = ${run}`],
    found: [`archive.attempts ${run} run_attempt=1`],
  },
  "the name of a repository": {
    sql: [`update archive.repositories set full_name = 'acme/other' where repository_id = ${repositoryId}`],
    found: [`archive.repositories ${repositoryId}`],
  },
  "the host of the identity": { sql: ["update archive.identity set host = 'github.example'"], found: ["archive.identity"] },
  "a planted hold": {
    sql: [`insert into archive.holds (job_id, is_held, reason, changed_at) values (${job}, true, 'case 1', '2026-02-01')`],
    found: [expect.stringMatching(`^archive\\.holds ${job} `)],
  },
  "a planted hold that claims a seal": {
    sql: [`insert into archive.holds (job_id, is_held, reason, sealed_in) values (${job}, true, 'case 1', 2)`],
    found: [expect.stringMatching(`^archive\\.holds ${job} `)],
  },
  "a hold and its release in another order": {
    sql: [
      "alter table archive.holds alter hold_id set generated by default",
      "update archive.holds set hold_id = -hold_id where job_id in (select job_id from archive.holds group by job_id having count(*) > 1)",
    ],
    found: [expect.stringMatching(/^archive\.holds /)],
  },
  "a policy of another length": {
    sql: ["update archive.retention_policies set keep_days = 1"],
    found: [expect.stringMatching(/^archive\.retention_policies acme /)],
  },
  "a phantom job that the ledger has as well": {
    sql: [
      `insert into archive.jobs select (jsonb_populate_record(jobs, '{"job_id": 61901817999}')).* from archive.jobs where job_id = ${job}`,
      `insert into archive.log_jobs select (jsonb_populate_record(log_jobs, '{"job_id": 61901817999, "log_state": "pending", "record_key": null, "first_seen_at": "2026-05-01T00:00:00Z"}')).* from archive.log_jobs where job_id = ${job}`,
    ],
    found: ["archive.jobs 61901817999"],
  },
  "a phantom job whose log is said to be absent": {
    sql: [
      `insert into archive.jobs select (jsonb_populate_record(jobs, '{"job_id": 61901817999}')).* from archive.jobs where job_id = ${job}`,
      `insert into archive.log_jobs select (jsonb_populate_record(log_jobs, '{"job_id": 61901817999, "log_state": "absent", "record_key": null}')).* from archive.log_jobs where job_id = ${job}`,
    ],
    found: ["archive.jobs 61901817999"],
  },
  "a job's part in the ledger": {
    sql: [`delete from archive.log_jobs where job_id = ${job}`],
    found: [`archive.log_jobs ${job}`],
  },
  "a view redefined": {
    sql: [
      `do $$ begin execute 'create or replace view audit.removals as ' || replace(pg_get_viewdef('audit.removals'), 'removals.jobs', '0::bigint as jobs'); end $$`,
    ],
    found: ["view audit.removals"],
  },
  "a view removed": { sql: ["drop view audit.damages"], found: ["view audit.damages"] },
  "a view added": { sql: ["create view audit.all_is_well as select 1 as one"], found: ["view audit.all_is_well"] },
  "a function redefined": {
    sql: [
      "create or replace function archive.partition_start(job_id bigint) returns bigint language sql immutable strict parallel safe as $$ select 0::bigint $$",
    ],
    found: ["function archive.partition_start(job_id bigint)"],
  },
  "a trigger": {
    sql: [
      "create function archive.lie() returns trigger language plpgsql as $$ begin new.conclusion := 'success'; return new; end $$",
      "create trigger lie before insert on archive.jobs for each row execute function archive.lie()",
    ],
    found: ["function archive.lie()", "trigger archive.jobs lie"],
  },
  "a policy that hides rows from auditors": {
    sql: ["create policy hide on archive.jobs as restrictive for select using (conclusion <> 'failure')"],
    found: ["policy archive.jobs hide"],
  },
};

describe("found and named:", () => {
  test("an untouched database gives no finding", async () => {
    expect((await compare(archive.db)).tampering).toEqual([]);
  });

  test.for(Object.entries(attacks))("%s", async ([, { sql, found }]) => {
    expect(keysOf(await after(sql))).toEqual(expect.arrayContaining([...found]));
  });
});

const legitimate: Record<string, readonly string[]> = {
  "a window that was listed since the newest seal": [
    `insert into archive.windows (repository_id, window_start, window_end, scanned_at) values (${repositoryId}, '2026-05-03', '2026-05-04', now())`,
  ],
  "a window that a backfill has listed since": [
    "insert into archive.backfills (since, until, asked_for) values ('2025-01-01', '2026-01-01', array['acme/app'])",
    `insert into archive.backfill_repositories (backfill_id, repository_id, listed_from) select backfill_id, ${repositoryId}, '2025-01-01' from archive.backfills`,
    `insert into archive.windows (repository_id, window_start, window_end, scanned_at) values (${repositoryId}, '2025-01-01', '2026-01-01', now())`,
  ],
  "a full second that was found since, and its hole": [
    `insert into archive.full_seconds (repository_id, second_start) values (${repositoryId}, '2026-05-03')`,
  ],
  "a run that was listed since, with its attempt and a job": [
    `insert into archive.runs (run_id, repository_id, run_attempt, created_at) values (7, ${repositoryId}, 1, now())`,
    `insert into archive.attempts (run_id, run_attempt, repository_id) values (7, 1, ${repositoryId})`,
    `insert into archive.jobs select (jsonb_populate_record(jobs, '{"job_id": 61901817999, "run_id": 7}')).* from archive.jobs where job_id = ${job}`,
    `insert into archive.log_jobs select (jsonb_populate_record(log_jobs, jsonb_build_object('job_id', 61901817999, 'run_id', 7, 'log_state', 'pending', 'record_key', null, 'first_seen_at', now()))).* from archive.log_jobs where job_id = ${job}`,
  ],
  "a re-run, seen since": [
    `update archive.runs set run_attempt = 2, triggering_actor = 'hubot', run_started_at = now(), status = 'in_progress', conclusion = null, updated_at = now() where run_id = ${run}`,
    `insert into archive.attempts (run_id, run_attempt, repository_id) values (${run}, 2, ${repositoryId})`,
  ],
  "an attempt that is open again": [
    `update archive.attempts set state = 'open', sealed_in = null, status = 'in_progress', conclusion = null where run_id = ${run}`,
  ],
  "an attempt that was listed again": [
    `update archive.attempts set sealed_in = null, listed_at = now(), listed_jobs = 7, missing_job_ids = '{1}' where run_id = ${run}`,
  ],
  "a hold that was set since": [`insert into archive.holds (job_id, is_held, reason) values (${job}, true, 'case 9')`],
  "a repository that was renamed since": [
    `update archive.repositories set full_name = 'acme/new-name', named_at = now() where repository_id = ${repositoryId}`,
  ],
  "an object that came after the run record, and fills what was open": [
    `update archive.jobs set runner_group_name = 'Default' where job_id = ${job} and runner_group_name is null`,
    `update archive.log_jobs set other_objects = array_append(other_objects, jsonb_set(object::jsonb, '{runner_group_name}', '"Default"')::json) where job_id = ${job} and object->>'runner_group_name' is null`,
  ],
  "a removal by the owner that a seal does not carry yet, of nothing": [
    "insert into archive.removals (runs_before, runs, jobs, closed_gaps) values ('2019-06-01', 0, 0, 0)",
  ],
};

describe("no finding:", () => {
  test.for(Object.entries(legitimate))("%s", async ([, sql]) => {
    expect((await after(sql)).tampering).toEqual([]);
  });
});
