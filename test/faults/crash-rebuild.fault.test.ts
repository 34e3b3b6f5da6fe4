// A rebuild that is cut short at every call to the database and the store, before it and after it, by an exception: what kill -9 does to
// one of them is in another test.

import { openBench } from "@actions-archive/loader/bench.test-support";
import { all, failing, fill, publicKey } from "@actions-archive/loader/filled-store.test-support";
import { rebuild } from "@actions-archive/loader/rebuild";
import { openEmptyDatabase } from "@actions-archive/loader/rebuilt.test-support";
import { expect, test } from "vitest";

test("a rebuild that is cut short at every call and begun again ends in the same database", async ({ annotate }) => {
  await using bench = await openBench();
  await fill(bench);
  const expected = await all(bench);
  const options = { publicKey, signal: new AbortController().signal, batchObjects: 3 };
  let [calls, crashes] = [0, 0];
  for (const moment of ["before", "after"] as const) {
    for (let at = 1; ; at += 1) {
      await using empty = await openEmptyDatabase();
      const doomed = failing({ db: empty.db, store: bench.loader.store }, at, moment);
      const outcome = await rebuild({ ...bench.loader, ...doomed }, options).catch((error: unknown) => error);
      if (doomed.calls() < at) break;
      calls = Math.max(calls, at);
      if (outcome instanceof Error) crashes += 1;
      await rebuild({ ...bench.loader, db: empty.db }, options);
      expect(await all(empty), `after a crash ${moment} call ${at}`).toEqual(expected);
    }
  }
  await annotate(`${calls} calls, ${crashes} crashes`, "F35");
  expect(crashes).toBeGreaterThan(calls);
});
