// Each role can do its work and nothing else.

import { migrateQueue } from "@actions-archive/core/queue-engine";
import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";
import { beforeAll, expect, test } from "vitest";

import { openAuditor, openLogin, seedOwners } from "../../test-support/access.ts";
import { openDatabase } from "../connection/open-database.ts";
import { migrateDatabase } from "../migration/migrate.ts";
import { queryAsAuditor } from "./auditor.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
  // A clone has its template's grants, except those on the database itself.
  await migrateDatabase(database.url);
  await seedOwners(database);
  await migrateQueue(new URL(database.url));
  return () => database[Symbol.asyncDispose]();
});

const openWriter = () => openLogin(database, { make: (name) => `create role ${name} in role actions_archive_writer` });
const refusal =
  /permission denied|must be owner|must have admin option|only roles with|denied to|cannot (insert|update|delete)|not updatable/i;

test("an auditor's login reads only, for a minute at most, and finds the views without their schema", async () => {
  await using auditor = await openAuditor(database);
  expect(
    await auditor.ask(`select current_setting('default_transaction_read_only') as read_only,
      current_setting('statement_timeout') as timeout, current_setting('timezone') as timezone, (select count(*)::integer from jobs) as jobs`),
  ).toEqual([{ read_only: "on", timeout: "1min", timezone: "UTC", jobs: 6 }]);
  await expect(auditor.ask("create temp table mine ()")).rejects.toThrow("read-only transaction");
});

test("a query of an auditor that takes too long is cancelled", async () => {
  await using auditor = await openAuditor(database);
  await expect(auditor.ask("set statement_timeout = '50ms'; select pg_sleep(60)")).rejects.toThrow("statement timeout");
});

test.each([
  "insert into audit.jobs (job_id) values (1)",
  "update audit.jobs set conclusion = 'success'",
  "delete from audit.steps",
  "truncate audit.jobs",
  "drop view audit.jobs",
  "alter view audit.jobs set (security_barrier = true)",
  "select from archive.jobs",
  "select from archive.credentials",
  "select from archive.auditor_owners",
  "select from archive.current_reader",
  "insert into archive.auditor_owners values (current_user, 'acme')",
  "select archive.create_auditor('intruder', null)",
  "select archive.answer_rows_as_auditor('select 1', '{}')",
  "select from queue.job",
  "select pg_read_file('/etc/passwd')",
  "select pg_ls_dir('.')",
  "select lo_import('/etc/passwd')",
  "copy (select 1) to program 'true'",
  "copy (select 1) to '/tmp/stolen'",
  "set role actions_archive_writer",
  "set role actions_archive_views",
  "set role pg_read_server_files",
  "set session authorization pg_monitor",
  "create schema mine",
  "create table public.mine ()",
  "create table audit.mine ()",
  "create temp table mine ()",
  "create view audit.mine as select 1",
  "create function public.leak(text) returns boolean language sql as 'select true'",
  "create function pg_temp.leak(text) returns boolean language sql as 'select true'",
  "create role mine",
  "grant actions_archive_writer to current_user",
  "alter role actions_archive_auditor login",
])("an auditor is refused, also without the read-only setting: %s", async (statement) => {
  await using auditor = await openAuditor(database);
  await auditor.ask("set default_transaction_read_only = off");
  await expect(auditor.ask(statement)).rejects.toThrow(/permission denied|must be|denied to|not a table|cannot|must have/i);
});

const evidence = ["repositories", "runs", "attempts", "log_jobs", "jobs", "steps", "logs", "identity"];

test("a writer deletes no evidence, truncates nothing, and changes no table", async () => {
  await using writer = await openWriter();
  const { rows } = await database.pool.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'archive'",
  );
  for (const name of evidence) await expect(writer.ask(`delete from archive.${name}`), name).rejects.toThrow(refusal);
  for (const { name } of rows) {
    await expect(writer.ask(`truncate archive.${name} cascade`), name).rejects.toThrow(refusal);
    await expect(writer.ask(`drop table archive.${name} cascade`), name).rejects.toThrow(refusal);
    await expect(writer.ask(`alter table archive.${name} disable row level security`), name).rejects.toThrow(refusal);
    await expect(writer.ask(`create policy mine on archive.${name} using (true)`), name).rejects.toThrow(refusal);
    await expect(writer.ask(`create index on archive.${name} ((1))`), name).rejects.toThrow(refusal);
  }
});

test.each([
  "create table archive.mine ()",
  "create schema mine",
  "alter table archive.jobs drop column conclusion",
  "drop schema archive cascade",
  "drop schema audit cascade",
  "drop policy auditors on archive.jobs",
  "update archive.identity set host = 'example.com'",
  "delete from archive.migrations",
  "insert into archive.auditor_owners values (current_user, 'acme')",
  "select archive.create_auditor('intruder', null)",
  "grant actions_archive_owner to current_user",
  "grant actions_archive_writer to current_user",
  "alter role actions_archive_writer bypassrls",
  "set role actions_archive_owner",
  "set role actions_archive_views",
  "select pg_read_file('/etc/passwd')",
  "drop table queue.job cascade",
])("a writer is refused: %s", async (statement) => {
  await using writer = await openWriter();
  await expect(writer.ask(statement)).rejects.toThrow(/permission denied|must be|denied to|must have/i);
});

test("a writer cannot grant its privileges", async () => {
  await using writer = await openWriter();
  await writer.ask(`grant delete on archive.jobs to ${writer.name}`).catch(() => undefined);
  await expect(writer.ask("delete from archive.jobs")).rejects.toThrow("permission denied");
});

test("a writer sees all owners in the views and the tables, and redelivery_requests as the auditor", async () => {
  await using writer = await openWriter();
  expect(await writer.ask("select count(*)::integer from audit.jobs")).toEqual([{ count: 6 }]);
  expect(await writer.ask("select count(*)::integer from archive.jobs")).toEqual([{ count: 6 }]);
  await using asWriter = await openDatabase({ url: writer.url, applicationName: "test", maxConnections: 1 });
  expect(await queryAsAuditor(asWriter.pool, "select count(*) from jobs")).toEqual([{ count: 6 }]);
  await expect(queryAsAuditor(asWriter.pool, "select from archive.jobs")).rejects.toThrow("permission denied");
});

test("migrating again revokes extra grants and keeps the limits", async () => {
  await using other = await openTestDatabase();
  const policies = "select polrelid::regclass::text, polname, oid::integer from pg_policy order by 1, 2";
  const before = (await other.pool.query(policies)).rows;
  await other.pool.query(
    "grant delete on archive.jobs to actions_archive_writer; grant select on archive.logs to actions_archive_views",
  );
  await migrateDatabase(other.url);
  expect((await other.pool.query(policies)).rows).toEqual(before);
  const { rows } = await other.pool.query(
    "select has_table_privilege('actions_archive_writer', 'archive.jobs', 'delete') as granted",
  );
  expect(rows).toEqual([{ granted: false }]);
});
