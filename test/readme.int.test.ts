// Every query of the README runs on a migrated database.

import { readFileSync } from "node:fs";

import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Client } from "pg";
import { expect, test } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const queries = [...readme.matchAll(/```sql\n([^`]+)```/g)].map(([, query = ""]) => query.trim());

test("the README has queries", () => {
  expect(queries.length).toBeGreaterThanOrEqual(3);
});

test.each(queries)("%s", async (query) => {
  const client = new Client({ connectionString: await createTestDatabase({ migrated: true }) });
  await client.connect();
  try {
    const { fields } = await client.query(query);
    expect(fields.length).toBeGreaterThan(0);
  } finally {
    await client.end();
  }
});
