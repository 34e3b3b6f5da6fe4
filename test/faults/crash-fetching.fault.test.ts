// A fetcher is killed at every external call of a poll, and of a backfill from its creation to its last slice.

import { test } from "vitest";

import { crashAtEveryCall } from "../support/crash/crash-at-every-call.ts";
import { openFetchScenario } from "../support/crash/fetch-scenario.ts";

test("kill -9 at every call of a look at a repository leads to the same ledger", async ({ annotate }) => {
  await using scenario = await openFetchScenario();
  const { calls, crashes } = await crashAtEveryCall(await scenario.preparePoll());
  await annotate(`${calls} calls, ${crashes} crashes`, "F35");
});

test("kill -9 at every call of a backfill leads to the same ledger", async ({ annotate }) => {
  await using scenario = await openFetchScenario();
  const { calls, crashes } = await crashAtEveryCall(await scenario.prepareBackfill());
  await annotate(`${calls} calls, ${crashes} crashes`, "F35");
});
