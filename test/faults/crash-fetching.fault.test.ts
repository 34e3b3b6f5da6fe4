// A fetcher is killed at every call to the outside: of one look at a repository, and of a backfill from its making to its last slice.

import { test } from "vitest";

import { openFetchStage } from "../support/crash/fetch-stage.ts";
import { crashAtEveryCall } from "../support/crash/stage.ts";

test("kill -9 at every call of a look at a repository leads to the same ledger", async ({ annotate }) => {
  await using stage = await openFetchStage();
  const { calls, deaths } = await crashAtEveryCall(await stage.beginPoll());
  await annotate(`${calls} calls, ${deaths} deaths`, "F35");
});

test("kill -9 at every call of a backfill leads to the same ledger", async ({ annotate }) => {
  await using stage = await openFetchStage();
  const { calls, deaths } = await crashAtEveryCall(await stage.beginBackfill());
  await annotate(`${calls} calls, ${deaths} deaths`, "F35");
});
