// Every table and column of schema archive is compared by `verify` or listed as not covered.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { rowCoverage } from "./row-coverage.ts";

test("the coverage of `verify --against-database` names each table and column of schema archive once", async () => {
  await using database = await openTestDatabase();
  const { rows } = await database.pool.query<{ name: string }>(`
    select format('%s.%s', relname, attname) as name
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = 'archive'::regnamespace and relkind in ('r', 'p') and not relispartition and attnum > 0 and not attisdropped`);
  const covered = rowCoverage.flatMap(({ table, compared, not_covered }) =>
    [...compared, ...not_covered.flatMap(({ columns }) => columns)].map((column) => `${table}.${column}`),
  );
  expect(covered.toSorted()).toEqual(rows.map(({ name }) => name).toSorted());
});
