// A rebuild is killed at every call to the database and the store, and restarted.

import { expect, test } from "vitest";

import { crashAtEveryCall } from "../support/crash/crash-at-every-call.ts";
import { openRebuildScenario } from "../support/crash/rebuild-scenario.ts";

test("kill -9 at every call of a rebuild leads to the same database", async ({ annotate }) => {
  await using scenario = await openRebuildScenario();
  // A batch that was written but not recorded is written and counted again, and aborted transactions advance a sequence.
  const forget = { rebuild: ["seconds", "objects_read", "jobs"], holds: ["hold_id"] };
  const { calls, crashes, end } = await crashAtEveryCall({ ...scenario.begin, forget });
  await annotate(`${calls} calls, ${crashes} crashes`, "F35");
  expect(end.rows["rebuild"]).toMatchObject([{ phase: "done" }]);
  expect(end.rows["jobs"]?.length).toBeGreaterThan(5);
});
