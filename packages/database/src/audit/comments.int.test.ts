// Comments of tables, views and columns are complete and state when a column is null.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { seedOwners } from "../../test-support/access.ts";

const isOurs =
  "relnamespace in ('archive'::regnamespace, 'audit'::regnamespace) and not relispartition and relname !~ '^migrations'";

test("every table, view and column of archive and audit has a comment", async () => {
  await using database = await openTestDatabase();
  const { rows } = await database.pool.query<{ name: string }>(`
    select pg_class.oid::regclass || '.' || attname as name
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where ${isOurs} and relkind in ('r', 'p', 'v')
      and coalesce(col_description(pg_class.oid, attnum), '') = ''
    union all
    select pg_class.oid::regclass::text from pg_class
    where ${isOurs} and relkind in ('r', 'p', 'v') and coalesce(obj_description(oid, 'pg_class'), '') = ''
    order by name`);
  expect(rows.map(({ name }) => name)).toEqual([]);
});

test("the comment of a table's column that can be null says when it is", async () => {
  await using database = await openTestDatabase();
  const { rows } = await database.pool.query<{ name: string }>(`
    select pg_class.oid::regclass || '.' || attname as name
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where ${isOurs} and relkind in ('r', 'p') and not attnotnull and col_description(attrelid, attnum) !~* '\\mnull\\M'
    order by name`);
  expect(rows.map(({ name }) => name)).toEqual([]);
});

test("a view's column is never null whose comment does not speak of it", async () => {
  await using database = await openTestDatabase();
  await seedOwners(database);
  const { rows } = await database.pool.query<{ view: string; column: string }>(`
    select relname as view, attname as column
    from pg_class
    join pg_attribute on attrelid = pg_class.oid and attnum > 0
    where relnamespace = 'audit'::regnamespace and relkind = 'v' and col_description(attrelid, attnum) !~* '\\mnull\\M'`);
  const nulls: string[] = [];
  for (const { view, column } of rows) {
    const { rowCount } = await database.pool.query(`select from audit.${view} where ${column} is null limit 1`);
    if (rowCount) nulls.push(`audit.${view}.${column}`);
  }
  expect(nulls).toEqual([]);
});
