// A small month scenario of a few seconds per day, checked like the large one of bench/month-scenario.ts.

import { requireRedis } from "@actions-archive/testkit/require-redis";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { expect, test } from "vitest";

import { followMonth } from "./support/month-scenario/follow-month.ts";
import { openWorkspace } from "./support/workspace.ts";

test(
  "of a hostile month no job is missed, none stands wrong, and coverage is complete exactly where it is",
  { timeout: 600_000 },
  async () => {
    await using workspace = await openWorkspace();
    const { verdict, pass, messages } = await followMonth({
      seed: 1,
      scale: 0.01,
      secondsPerDay: 1,
      databaseUrl: await createTestDatabase({ migrated: true }),
      redisUrl: requireRedis().url,
      folder: workspace.folder,
      onProgress: () => undefined,
    });
    const { violations } = verdict;
    expect({ violations, pass }).toEqual({
      violations: [],
      pass: { code: 0, printed: expect.stringContaining("Complete.") },
    });
    expect(verdict.checked).toEqual(["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I11", "coverage"]);
    expect([...messages.keys()].filter((message) => /deadlock|clock skew/.test(message))).toEqual([]);
    expect(verdict.attempts).toMatchObject({ never_completed: 1, open: 1 });
    expect(verdict.archived).toBeGreaterThan(1_000);
  },
);
