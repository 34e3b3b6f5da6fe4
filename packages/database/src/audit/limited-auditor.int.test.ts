// A limited auditor sees no row, value or statistic of other owners, whatever the query.

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";

import { openTestDatabase, type TestDatabase } from "@actions-archive/testkit/test-database";
import { sql } from "kysely";
import { beforeAll, expect, test } from "vitest";

import { foreignOwner, type Login, openAuditor, openLogin, ownOwner, seedOwners } from "../../test-support/access.ts";
import { setUpAccess } from "./access.ts";

// The tests write only to tables of their own, so that they can share a database.
let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase();
  await seedOwners(database);
  await database.pool.query("analyze");
  return () => database[Symbol.asyncDispose]();
});

/** All except those that count over all owners. */
async function listViews(): Promise<string[]> {
  const { rows } = await database.pool.query<{ viewname: string }>(
    "select viewname from pg_views where schemaname = 'audit' and viewname not in ('removals', 'seals')",
  );
  return rows.map(({ viewname }) => viewname);
}

const countOf = async (login: Login, view: string, owner: string) => {
  const [row] = await login.ask(
    `select count(*)::integer from audit.${view} as seen where to_json(seen)::text ilike '%${owner}%'`,
  );
  return row?.["count"];
};
const repositoriesSeenBy = async (login: Login) =>
  (await login.ask("select distinct repository from audit.jobs order by 1")).map(({ repository }) => repository);

test("every view of schema audit shows rows of both owners to an auditor, and its own alone to a limited one", async () => {
  await using auditor = await openAuditor(database);
  await using limited = await openAuditor(database, [ownOwner]);
  for (const view of await listViews()) {
    expect(await countOf(auditor, view, foreignOwner), `foreign rows of audit.${view}: seed some`).toBeGreaterThan(0);
    expect(await countOf(limited, view, ownOwner), `own rows of audit.${view}`).toBe(await countOf(auditor, view, ownOwner));
    expect(await countOf(limited, view, foreignOwner), `foreign rows of audit.${view}`).toBe(0);
    const ids = `select count(*)::integer from audit.${view} where repository_id >= 2000000000000`;
    expect(await limited.ask(ids), `foreign ids of audit.${view}`).toEqual([{ count: 0 }]);
  }
});

test("removals are counted over all owners and hidden from limited auditors", async () => {
  await using other = await openTestDatabase();
  await seedOwners(other);
  await other.pool.query("insert into archive.removals values ('2020-01-01', now(), 1, 1, 0)");
  await using auditor = await openAuditor(other);
  await using limited = await openAuditor(other, [ownOwner]);
  expect(await auditor.ask("select jobs::integer from audit.removals")).toEqual([{ jobs: 1 }]);
  expect(await limited.ask("select jobs from audit.removals")).toEqual([]);
});

test("docs/access.md names exactly the views that a limited auditor sees no row of", async () => {
  await using other = await openTestDatabase();
  await seedOwners(other);
  await other.pool.query("insert into archive.removals values ('2020-01-01', now(), 1, 1, 0)");
  await using limited = await openAuditor(other, [ownOwner]);
  const { rows } = await other.pool.query<{ viewname: string }>("select viewname from pg_views where schemaname = 'audit'");
  const hidden: string[] = [];
  for (const { viewname } of rows)
    if ((await limited.ask(`select from audit.${viewname} limit 1`)).length === 0) hidden.push(viewname);
  const access = await readFile(new URL("../../../../docs/access.md", import.meta.url), "utf8");
  const row = access.split("\n").find((line) => line.startsWith("|") && line.includes("| none")) ?? "";
  expect(new Set(Array.from(row.matchAll(/`audit\.(\w+)`/g), ([, view]) => view))).toEqual(new Set(hidden));
});

test("a seal that is late is a gap for a limited auditor when objects of its owners wait, or sealing has a problem", async () => {
  await using other = await openTestDatabase();
  await seedOwners(other);
  await using own = await openAuditor(other, [ownOwner]);
  await using foreign = await openAuditor(other, [foreignOwner]);
  const late = "select reason, repository_id from audit.gaps where kind = 'not_sealed'";
  await other.pool.query(`update archive.objects set sealed_in = null where object_key like '%${ownOwner}%'`);
  expect(await own.ask(late)).toEqual([{ reason: "no_key", repository_id: null }]);
  expect(await foreign.ask(late)).toEqual([]);
  await other.pool.query(`insert into archive.sealing (key_id, interval_seconds, problem, problem_since)
    values ('key', 60, 'the store refused', now() - interval '1 day')`);
  expect(await foreign.ask(late)).toEqual([{ reason: "problem", repository_id: null }]);
});

test("seals count objects of all owners and are hidden from limited auditors, who see the seal of their own objects", async () => {
  await using auditor = await openAuditor(database);
  await using limited = await openAuditor(database, [ownOwner]);
  expect(await auditor.ask("select sequence::integer, entries from audit.seals")).toEqual([{ sequence: 1, entries: 4 }]);
  expect(await limited.ask("select sequence, entries from audit.seals")).toEqual([]);
  expect(await limited.ask("select distinct repository, seal::integer from audit.objects")).toEqual([
    { repository: `${ownOwner}/app`, seal: 1 },
  ]);
});

test("a condition that fails on a foreign value never meets one, in any column of any view", async () => {
  await using auditor = await openAuditor(database);
  await using limited = await openAuditor(database, [ownOwner]);
  const { rows } = await database.pool.query<{ view: string; column: string }>(
    `select table_name as view, column_name as column from information_schema.columns
     where table_schema = 'audit' and column_name <> 'host'`,
  );
  for (const view of await listViews()) {
    const attacks = rows
      .filter((row) => row.view === view)
      .map(({ column }) => {
        const isForeign = `(${column}::text like '%${foreignOwner}%' or ${column}::text like '2000000000%')`;
        return `select count(*) from audit.${view} where 1 / case when ${isForeign} then 0 else 1 end = 1`;
      });
    const errors: string[] = [];
    for (const attack of attacks) await auditor.ask(attack).catch((error: Error) => errors.push(error.message));
    expect(errors, `attacks on audit.${view} that succeed where foreign rows are seen`).toContain("division by zero");
    for (const attack of attacks) await expect(limited.ask(attack), attack).resolves.toHaveLength(1);
  }
});

// The database of this test is a clone, in which any role may create temporary functions, as on a server where migrate may not revoke that.
test("an auditor's own function with cost 0, which is called first, receives no foreign value", async () => {
  await using limited = await openAuditor(database, [ownOwner]);
  await limited.ask("set default_transaction_read_only = off");
  await limited.ask(`create function pg_temp.leak(value text) returns boolean language plpgsql cost 0.0000001 as $$
    begin
      if value like '%${foreignOwner}%' then raise exception 'leaked: %', value; end if;
      return true;
    end $$`);
  for (const view of await listViews()) {
    const columns = await limited.ask(
      `select column_name from information_schema.columns where table_schema = 'audit' and table_name = '${view}'`,
    );
    for (const { column_name } of columns) {
      await expect(
        limited.ask(`select from audit.${view} where pg_temp.leak(${String(column_name)}::text)`),
        view,
      ).resolves.toBeDefined();
    }
  }
});

test.each([
  "select from audit.annotations where message::integer = 1",
  "select from audit.steps join audit.jobs using (job_id) where (step_name || jobs.job_name)::integer = 1",
])("a cast that says what it could not read says no foreign text: %s", async (query) => {
  await using limited = await openAuditor(database, [ownOwner]);
  await expect(limited.ask(query)).rejects.toThrow(ownOwner);
  await using stranger = await openAuditor(database, ["nobody"]);
  expect(await stranger.ask(query)).toEqual([]);
});

test("neither plans nor statistics show a foreign value", async () => {
  await using limited = await openAuditor(database, [ownOwner]);
  for (const view of await listViews()) {
    const plan = await limited.ask(`explain (analyze, verbose, costs off) select * from audit.${view}`);
    expect(JSON.stringify(plan)).not.toContain(foreignOwner);
  }
  expect(await limited.ask("select from pg_stats where schemaname in ('archive', 'audit')")).toEqual([]);
  await expect(limited.ask("select from pg_statistic")).rejects.toThrow("permission denied");
});

// Postgres uses an index before the policies only for leakproof comparisons.
test("ids, repositories, times and joins reach indexes under the policies", async () => {
  await using large = await openTestDatabase();
  await large.pool.query(`
    insert into archive.repositories (repository_id, full_name)
      select 3000000000 + number, 'acme/app' || number from generate_series(0, 99) as number;
    select archive.make_partitions(array[60000000000]);
    insert into archive.jobs (job_id, repository_id, run_id, run_attempt, last_listed_attempt, status, completed_at)
      select 60000000000 + number, 3000000000 + number % 100, 30000000000 + number / 4, 1, 1, 'completed',
        timestamptz '2026-01-01 00:00Z' + number * interval '1 minute'
      from generate_series(0, 9999) as number;
    insert into archive.steps (job_id, step_number) select job_id, 1 from archive.jobs;
    insert into archive.annotations (job_id, line_number, level, message) select job_id, 1, 'error', 'failed' from archive.jobs`);
  await large.pool.query("analyze");
  await using limited = await openAuditor(large, [ownOwner]);
  const since = "completed_at >= timestamptz '2026-01-07 12:00Z'";
  const answers = [
    ["jobs where job_id = 60000000007", "(job_id = '60000000007'::bigint)"],
    ["jobs where run_id = 30000000007", "(run_id = '30000000007'::bigint)"],
    [`jobs where repository_id = 3000000007 and ${since}`, "((repository_id = '3000000007'::bigint) AND (completed_at >= "],
    [`jobs where repository = 'acme/app7' and ${since}`, "((repository_id = repositories.repository_id) AND (completed_at >= "],
    ["steps where job_id = 60000000007", "(job_id = '60000000007'::bigint)"],
    ["steps join audit.jobs using (job_id) where jobs.run_id = 30000000007", "(job_id = jobs_1.job_id)"],
    ["annotations where job_id = 60000000007", "(job_id = '60000000007'::bigint)"],
  ] as const;
  for (const [question, condition] of answers) {
    const plan = await limited.ask(`explain (costs off) select * from audit.${question}`);
    const conditions = plan.map((line) => String(line["QUERY PLAN"])).filter((line) => line.includes("Index Cond"));
    expect(conditions.join("\n"), question).toContain(condition);
  }
});

test.each([
  "actions_archive_auditor",
  "actions_archive_views",
  "actions_archive_writer",
  "actions_archive_owner",
  "pg_read_all_data",
])("a limited auditor cannot become %s", async (role) => {
  await using limited = await openAuditor(database, [ownOwner]);
  await expect(limited.ask(`set role ${role}`)).rejects.toThrow("permission denied");
  await expect(limited.ask(`set session authorization ${role}`)).rejects.toThrow("permission denied");
});

test("no setting and no foreign role lifts the limit", async () => {
  await using limited = await openAuditor(database, [ownOwner]);
  await expect(limited.ask("set row_security = off; select from audit.jobs")).rejects.toThrow("row-level security");
  await limited.ask("reset row_security; set role actions_archive_limited_auditor");
  expect(await repositoriesSeenBy(limited)).toEqual([]);
  await limited.ask("reset role");
  expect(await repositoriesSeenBy(limited)).toEqual(["acme/app"]);
});

test("a function with its owner's rights shows its caller the caller's owners", async () => {
  await using limited = await openAuditor(database, [ownOwner]);
  await database.pool.query(`create function public.jobs_of_${limited.name}() returns setof text language sql security definer
    as 'select repository from audit.jobs'`);
  expect(
    new Set((await limited.ask(`select public.jobs_of_${limited.name}() as repository`)).map(({ repository }) => repository)),
  ).toEqual(new Set(["acme/app"]));
});

test("owners may be of any case, may be given to a group, and add up", async () => {
  await using group = await openLogin(database, { make: (name) => `create role ${name}` });
  await database.pool.query("insert into archive.auditor_owners values ($1, 'UMBRELLA')", [group.name]);
  await using limited = await openAuditor(database, ["Acme"]);
  expect(await repositoriesSeenBy(limited)).toEqual(["acme/app"]);
  await database.pool.query(`grant ${group.name} to ${limited.name}`);
  expect(await repositoriesSeenBy(limited)).toEqual(["acme/app", "umbrella/app"]);
});

test("a pool's login with a limited role sees what both may see", async () => {
  await using one = await openAuditor(database, [ownOwner]);
  await using other = await openAuditor(database, [foreignOwner]);
  await using pool = await openLogin(database, { make: (name) => `create role ${name} in role ${one.name}, ${other.name}` });
  await using all = await openLogin(database, {
    make: (name) => `create role ${name} in role actions_archive_auditor, ${one.name}`,
  });
  await pool.ask(`set role ${other.name}`);
  expect(await repositoriesSeenBy(pool)).toEqual(["umbrella/app"]);
  expect(await repositoriesSeenBy(all)).toEqual(["acme/app", "umbrella/app"]);
  await all.ask(`set role ${one.name}`);
  expect(await repositoriesSeenBy(all)).toEqual(["acme/app"]);
});

test("without an owner, or under another name, a limited auditor sees nothing", async () => {
  await using limited = await openAuditor(database, [ownOwner]);
  await database.pool.query("delete from archive.auditor_owners where role = $1", [limited.name]);
  for (const view of await listViews()) {
    const rows = await limited.ask(`select repository_id from audit.${view}`);
    expect(
      rows.filter(({ repository_id }) => repository_id !== null),
      view,
    ).toEqual([]);
  }
  // A name that was another owner's and is free now.
  await database.pool.query("insert into archive.auditor_owners values ('nobody_of_this_name', $1)", [ownOwner]);
  expect(await repositoriesSeenBy(limited)).toEqual([]);
});

test("called again, create_auditor changes the owners, and refuses a role that is no auditor", async () => {
  await using limited = await openAuditor(database, [ownOwner]);
  await database.pool.query("select archive.create_auditor($1, $2)", [limited.name, [foreignOwner]]);
  expect(await repositoriesSeenBy(limited)).toEqual(["umbrella/app"]);
  await database.pool.query("select archive.create_auditor($1, null)", [limited.name]);
  expect(await repositoriesSeenBy(limited)).toEqual(["acme/app", "umbrella/app"]);
  await database.pool.query("select archive.create_auditor($1, $2)", [limited.name, [ownOwner]]);
  expect(await repositoriesSeenBy(limited)).toEqual(["acme/app"]);
  for (const change of ["create_auditor('pg_monitor', null)", "drop_auditor('pg_monitor')"]) {
    await expect(database.pool.query(`select archive.${change}`)).rejects.toThrow("is not an auditor");
  }
});

test("an auditor may have any name", async () => {
  const name = `mona "o'hub"; ${randomBytes(4).toString("hex")}`;
  await database.pool.query("select archive.create_auditor($1, $2)", [name, [ownOwner]]);
  const { rows } = await database.pool.query("select role, owner from archive.auditor_owners where role = $1", [name]);
  expect(rows).toEqual([{ role: name, owner: ownOwner }]);
  await database.pool.query("select archive.drop_auditor($1)", [name]);
  expect((await database.pool.query("select from pg_roles where rolname = $1", [name])).rowCount).toBe(0);
});

test("create_auditor refuses to limit a login that sees all owners by a group", async () => {
  await using group = await openLogin(database, { make: (name) => `create role ${name} in role actions_archive_auditor` });
  await using auditor = await openAuditor(database);
  await database.pool.query(`grant ${group.name} to ${auditor.name}`);
  const limiting = database.pool.query("select archive.create_auditor($1, $2)", [auditor.name, [ownOwner]]);
  await expect(limiting).rejects.toThrow("cannot be limited to owners: it is still a member of actions_archive_auditor");
});

test("a view over a table without an owner rule makes the migration fail", async () => {
  await using other = await openTestDatabase();
  const migrating = other.db.transaction().execute(async (trx) => {
    await sql`create table archive.billing (amount integer)`.execute(trx);
    await sql`create view audit.billing as select amount from archive.billing`.execute(trx);
    return setUpAccess(trx);
  });
  await expect(migrating).rejects.toThrow(
    "archive.billing is read by a view of schema audit, but 3_policies.sql has no rule for its rows",
  );
});
