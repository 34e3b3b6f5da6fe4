// A log-worker on S3 is killed at every request, statement and write, for logs of each outcome.

import { expect, test, vi } from "vitest";

import { openArchiveScenario } from "../support/crash/archive-scenario.ts";
import { crashAtEveryCall } from "../support/crash/crash-at-every-call.ts";

test("kill -9 at every call of archiving into S3 leads to the same records and logs", async ({ annotate }) => {
  const credentials = { AWS_ACCESS_KEY_ID: "S3RVER", AWS_SECRET_ACCESS_KEY: "S3RVER" };
  for (const [name, value] of Object.entries(credentials)) vi.stubEnv(name, value);
  await using scenario = await openArchiveScenario(credentials);
  const reasons = new Set<string>();
  let orphans = 0;
  const { calls, crashes } = await crashAtEveryCall({
    ...scenario.begin,
    check({ objects }) {
      const keys = Object.keys(objects);
      const withoutRecord = keys.filter((key) => key.startsWith("logs/") && !keys.includes(recordOf(key)));
      orphans = Math.max(orphans, withoutRecord.length);
      for (const record of Object.values(objects)) reasons.add(endOf(record));
    },
  });
  await annotate(`${calls} calls, ${crashes} crashes`, "F35");
  // One of them is part of the scenario; the other results from a crash between a log and its record.
  expect(orphans).toBe(2);
  expect([...reasons]).toEqual(expect.arrayContaining(["archived", "adopted", "copied", "deleted"]));
});

function recordOf(logKey: string): string {
  return logKey.replace(/^logs/, "records").replace(/log\.zst$/, "json");
}

function endOf(object: unknown): string {
  const { log } = object as { readonly log?: { readonly state: string; readonly reason?: string; readonly flags?: string[] } };
  return log?.flags?.includes("adopted") ? "adopted" : (log?.reason ?? log?.state ?? "none");
}
