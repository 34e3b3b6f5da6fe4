// A query as the auditor reads only the views, whatever the statement tries.

import { PermanentError } from "@actions-archive/core/errors";
import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { addRepository, jobId, jobObject, repositoryId } from "../../test-support/samples.ts";
import { claimIdentity } from "../ledger/identity.ts";
import { upsertJobs } from "../rows/rows.ts";
import { answerAsAuditor, queryAsAuditor } from "./auditor.ts";

async function openAudited() {
  const database = await openTestDatabase();
  await claimIdentity(database.db, { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host: "github.com" });
  await addRepository(database.db);
  const story = { repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1, object: jobObject() };
  await database.db.transaction().execute((trx) => upsertJobs(trx, [story]));
  return database;
}

test("the auditor reads the views, without naming their schema, with ids and times as they are", async () => {
  await using database = await openAudited();
  const rows = await queryAsAuditor(database.pool, "select job_id, labels, started_at, log_state, actor from jobs");
  expect(rows).toEqual([
    {
      job_id: jobId,
      labels: ["ubuntu-24.04"],
      started_at: "2026-05-01T10:00:10+00:00",
      log_state: "pending",
      actor: null,
    },
  ]);
  expect(await queryAsAuditor(database.pool, "select count(*) as steps from audit.steps")).toEqual([{ steps: 3 }]);
});

test.each([
  "insert into audit.jobs (job_id) values (1)",
  "with gone as (delete from archive.jobs returning 1) select * from gone",
  "create table audit.mine ()",
  "create temp table mine ()",
  "select * from archive.jobs",
  "select * from archive.credentials",
  "select pg_read_file('/etc/passwd')",
  "select 1; select 2",
  "commit; select 1",
  "rollback; delete from archive.jobs",
  "set role none",
  "reset role",
  "reset session authorization",
  "set transaction read write",
  "do $$ begin reset role; end $$",
  "copy (select 1) to program 'true'",
  "select set_config('role', 'none', true), query_to_xml('select * from archive.jobs', true, true, '')",
  "select set_config('session_authorization', session_user, true)",
  "select set_config('transaction_read_only', 'off', true)",
  "selct 1",
  "",
])("the auditor is refused: %s", async (statement) => {
  await using database = await openAudited();
  await expect(queryAsAuditor(database.pool, statement)).rejects.toThrow(PermanentError);
  await expect(queryAsAuditor(database.pool, statement)).rejects.toThrow(/^Postgres refuses the query: ./);
  expect((await database.pool.query("select from archive.jobs")).rowCount).toBe(1);
});

test("a value is bound and never parsed as SQL", async () => {
  await using database = await openAudited();
  const hostile = ["'; drop table archive.jobs; --", "$1 :'x' \\ \"{}\", NULL", "", "{a,b}", "NULL"];
  const list = hostile.map((_, index) => `($1)[${index + 1}] as v${index}`).join();
  expect(await queryAsAuditor(database.pool, `select ${list}`, hostile)).toEqual([
    Object.fromEntries(hostile.map((value, index) => [`v${index}`, value])),
  ]);
  const byId = "select job_id from jobs where job_id = ($1)[2]::bigint";
  expect(await queryAsAuditor(database.pool, byId, ["not asked for", String(jobId)])).toEqual([{ job_id: jobId }]);
  await expect(queryAsAuditor(database.pool, byId, ["", "1 or true"])).rejects.toThrow(/^Postgres refuses the query: .*bigint/);
});

test("a value with NUL is refused", async () => {
  await using database = await openAudited();
  await expect(queryAsAuditor(database.pool, "select ($1)[1]", ["\0"])).rejects.toThrow(PermanentError);
});

test.each(["delete from archive.jobs where ($1)[1] = ''", "select 1 where ($1)[1] = ''; select 2", "commit"])(
  "with values bound the auditor is refused no less: %s",
  async (statement) => {
    await using database = await openAudited();
    await expect(queryAsAuditor(database.pool, statement, [""])).rejects.toThrow(/^Postgres refuses the query: ./);
    expect((await database.pool.query("select from archive.jobs")).rowCount).toBe(1);
  },
);

test("the auditor's query leaves no state in the pool", async () => {
  await using database = await openAudited();
  await queryAsAuditor(database.pool, "select 1 as one");
  const { rows } = await database.pool.query<{ same: boolean; jobs: string }>(
    "select current_user = session_user as same, (select count(*) from archive.jobs)::text as jobs",
  );
  expect(rows).toEqual([{ same: true, jobs: "1" }]);
});

/** A value as SQL literal, in to_json's form and in psql's form. */
const exactValues = [
  ["9007199254740993::bigint", "9007199254740993", "9007199254740993"],
  ["'-9223372036854775808'::bigint", "-9223372036854775808", "-9223372036854775808"],
  ["1.10::numeric", "1.10", "1.10"],
  ["123456789012345678901234567890.123456789::numeric", "123456789012345678901234567890.123456789", undefined],
  ["'NaN'::float8", '"NaN"', "NaN"],
  ["'-Infinity'::float8", '"-Infinity"', "-Infinity"],
  ["0.1::float8 + 0.2::float8", "0.30000000000000004", "0.30000000000000004"],
  ["'2026-05-01 10:00:10.123456+02'::timestamptz", '"2026-05-01T08:00:10.123456+00:00"', "2026-05-01 08:00:10.123456+00"],
  ["'infinity'::timestamptz", '"infinity"', "infinity"],
  ["'-infinity'::date", '"-infinity"', "-infinity"],
  ["'2026-05-01T10:00:00.1234567+00:00'::text", '"2026-05-01T10:00:00.1234567+00:00"', "2026-05-01T10:00:00.1234567+00:00"],
  ["'-1 mon 2 days 03:04:05.000006'::interval", '"-1 mons +2 days 03:04:05.000006"', "-1 mons +2 days 03:04:05.000006"],
  ["array[9007199254740993, null]::bigint[]", "[9007199254740993,null]", "{9007199254740993,NULL}"],
  ["null::bigint", "null", null],
  ["true", "true", "t"],
  [`'{"id": 9007199254740993}'::jsonb`, '{"id":9007199254740993}', '{"id": 9007199254740993}'],
] as const;

test("numbers and times reach the auditor with all their digits", async () => {
  await using database = await openAudited();
  const list = exactValues.map(([expression], index) => `${expression} as v${index}`).join();
  const { columns, rows, texts } = await answerAsAuditor(database.pool, `select ${list}`);
  expect(columns).toEqual(exactValues.map((_, index) => `v${index}`));
  expect(Object.values(rows[0] ?? {}).map((value) => JSON.stringify(value))).toEqual(exactValues.map(([, json]) => json));
  expect(texts).toEqual([exactValues.map(([, json, text]) => (text === undefined ? json : text))]);
});

test("columns of one name are all there, and rows without columns are counted", async () => {
  await using database = await openAudited();
  const { columns, texts } = await answerAsAuditor(database.pool, "select 1, 'a, \"b\"', '' union all select 2, null, 'x'");
  expect(columns).toEqual(["?column?", "?column?", "?column?"]);
  expect(texts).toEqual([
    ["1", 'a, "b"', ""],
    ["2", null, "x"],
  ]);
  expect(await answerAsAuditor(database.pool, "select from jobs")).toEqual({ columns: [], rows: [{}], texts: [[]] });
});
