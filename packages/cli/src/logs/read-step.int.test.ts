// Reading a step of a large log costs two reads and few extra bytes, wherever the step is.

import { createHash } from "node:crypto";

import type { Frame } from "@actions-archive/archive/log/log-format";
import { expect, test } from "vitest";

import { recordReads, openFolder, putSteps } from "../../test-support/steps.ts";
import { readStep } from "./read-step.ts";

const megabytes = 1_000_000;

test(
  "any step of a log of 260 MB takes at most two reads, without frames that hold nothing of it",
  { timeout: 120_000 },
  async () => {
    await using folder = await openFolder();
    const sizes = [2000, 30 * megabytes, 500, 100 * megabytes, 70_000, 3 * megabytes, 90 * megabytes, 40, 37 * megabytes, 900];
    const { steps, totals, log } = await putSteps(folder, sizes);
    expect(totals.rawBytes).toBeGreaterThan(260 * megabytes);
    for (const { section, sha256 } of steps) {
      const { store, reads } = recordReads(folder.store);
      const hash = createHash("sha256");
      for await (const text of readStep(store, log, section)) hash.update(text);
      expect(hash.digest("hex"), `step ${section.step_number}`).toBe(sha256);
      expect(reads.length).toBeLessThanOrEqual(2);
      const [table, frames] = reads.map(({ range = { start: 0, end: Infinity } }) => range);
      expect((table?.end ?? Infinity) - (table?.start ?? 0)).toBeLessThanOrEqual(64 * 1024);
      // The last step is read with the table.
      if (frames === undefined) continue;
      const read = totals.frames.filter(({ storedStart }) => storedStart >= frames.start && storedStart < frames.end);
      const isOfStep = ({ rawStart, rawBytes }: Frame) =>
        rawStart < section.raw_start + section.raw_bytes && rawStart + rawBytes > section.raw_start;
      expect(read).toEqual(totals.frames.filter(isOfStep));
    }
  },
);

test("a step of a small log takes one read", async () => {
  await using folder = await openFolder();
  const { steps, log } = await putSteps(folder, [100, 5000, 200_000]);
  for (const { section, sha256 } of steps) {
    const { store, reads } = recordReads(folder.store);
    const hash = createHash("sha256");
    for await (const text of readStep(store, log, section)) hash.update(text);
    expect({ sha256: hash.digest("hex"), reads: reads.length }).toEqual({ sha256, reads: 1 });
  }
});
