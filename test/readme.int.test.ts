// Every query of the README runs on a migrated database.

import { readFileSync } from "node:fs";

import { minuteMs } from "@actions-archive/core/durations";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { finishPoll, selectRepositories } from "@actions-archive/database/ledger/repositories";
import { addWindow } from "@actions-archive/database/ledger/windows";
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

const monthMs = 32 * 24 * 60 * minuteMs;

test.each([
  ["is covered until now", [[monthMs, 2 * minuteMs]], true],
  ["stopped an hour ago", [[monthMs, 60 * minuteMs]], false],
  [
    "has a hole",
    [
      [monthMs, 600 * minuteMs],
      [599 * minuteMs, 2 * minuteMs],
    ],
    false,
  ],
] as const)("the query of the last month, for a repository that %s, answers so", async (_what, windows, complete) => {
  const url = await createTestDatabase({ migrated: true });
  await using database = await openDatabase({ url, applicationName: "test" });
  const { db } = database;
  await claimIdentity(db, { archive_id: "00000000-0000-4000-8000-000000000001", host: "github.com" });
  await selectRepositories(db, [{ repository_id: 1, full_name: "acme/app", is_private: false }]);
  await finishPoll(db, 1, { nextPollSeconds: 60, problem: null });
  for (const [fromMs, untilMs] of windows)
    await addWindow(db, 1, { start: new Date(Date.now() - fromMs), end: new Date(Date.now() - untilMs) });
  const query = queries.find((each) => each.includes("covered_until")) ?? "";
  expect((await database.pool.query(query)).rows).toMatchObject([{ repository: "acme/app", complete }]);
});
