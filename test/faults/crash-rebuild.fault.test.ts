// A rebuild is killed at every call to the database and the store, and begun again.

import { expect, test } from "vitest";

import { openRebuildStage } from "../support/crash/rebuild-stage.ts";
import { crashAtEveryCall } from "../support/crash/stage.ts";

test("kill -9 at every call of a rebuild leads to the same database", async ({ annotate }) => {
  await using stage = await openRebuildStage();
  // A batch that was written and not noted is written, and counted, again; and what was not committed has used up a number.
  const forget = { rebuild: ["seconds", "objects_read", "jobs"], holds: ["hold_id"] };
  const { calls, deaths, end } = await crashAtEveryCall({ ...stage.begin, forget });
  await annotate(`${calls} calls, ${deaths} deaths`, "F35");
  expect(end.rows["rebuild"]).toMatchObject([{ phase: "done" }]);
  expect(end.rows["jobs"]?.length).toBeGreaterThan(5);
});
