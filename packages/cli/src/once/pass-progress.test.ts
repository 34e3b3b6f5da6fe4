import type { WorkCounts } from "@actions-archive/database/ledger/summary";
import { expect, test } from "vitest";

import { PassProgress } from "./pass-progress.ts";

const none: WorkCounts = {
  jobs: 10,
  pending: 10,
  paused: 0,
  archived: 0,
  absent: 0,
  failed: 0,
  unloadedJobs: 5,
  unrecordedAttempts: 3,
  laggingAttempts: 2,
  incompleteWindows: 0,
  openBackfills: 0,
};

test("more jobs, more logs in terminal states, more loaded rows and less pending work are progress", () => {
  const progress = new PassProgress();
  expect(progress.advance(none)).toBe(true);
  expect(progress.advance(none)).toBe(false);
  const better: Partial<WorkCounts>[] = [{ jobs: 11 }, { jobs: 11, archived: 1 }, { jobs: 11, archived: 1, unloadedJobs: 4 }];
  for (const change of better) expect(progress.advance({ ...none, ...change })).toBe(true);
  expect(progress.advance({ ...none, ...better[2], laggingAttempts: 1 })).toBe(true);
});

test("states that only alternate are no progress", () => {
  const progress = new PassProgress();
  progress.advance({ ...none, failed: 1, laggingAttempts: 1 });
  for (let turn = 0; turn < 3; turn++) {
    expect(progress.advance({ ...none, failed: 0, laggingAttempts: 2 })).toBe(false);
    expect(progress.advance({ ...none, failed: 1, laggingAttempts: 1 })).toBe(false);
    expect(progress.advance({ ...none, failed: 1, pending: 9, laggingAttempts: 1 })).toBe(false);
  }
});
