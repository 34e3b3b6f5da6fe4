// `logs --step` on a generated log of 260 MB: calls, bytes and time of each step, against reading the whole log.
// Run: npx pnpm exec node bench/step.ts
// Must: at most two reads per step, and at most 1 MiB of text beyond the frames that contain the step.

import { readLog } from "@actions-archive/archive/log/read-log";
import { formatTable } from "@actions-archive/cli/format-table";
import { readStep } from "@actions-archive/cli/logs/read-step";
import { recordReads, openFolder, putSteps } from "@actions-archive/cli/test-support/steps";

const megabytes = 1_000_000;
const sizes = [
  3000,
  30 * megabytes,
  500,
  90 * megabytes,
  70_000,
  3 * megabytes,
  200_000,
  100 * megabytes,
  40,
  37 * megabytes,
  900,
];

async function drain(frames: AsyncIterable<Buffer>): Promise<{ bytes: number; ms: number }> {
  const start = performance.now();
  let bytes = 0;
  for await (const text of frames) bytes += text.length;
  return { bytes, ms: performance.now() - start };
}

await using folder = await openFolder();
const { steps, totals, log } = await putSteps(folder, sizes);
const whole = await drain(readLog(folder.store, log.log_key, { sizeBytes: totals.storedBytes, rawBytes: totals.rawBytes }));
const rows = [];
let isHeld = true;
for (const { section } of steps) {
  const { store, reads } = recordReads(folder.store);
  const { ms } = await drain(readStep(store, log, section));
  const [end, start] = [section.raw_start + section.raw_bytes, section.raw_start];
  const [, frames] = reads.map(({ range = { start: 0, end: totals.storedBytes } }) => range);
  const beyond = totals.frames
    .filter(({ storedStart }) => frames !== undefined && storedStart >= frames.start && storedStart < frames.end)
    .filter(({ rawStart, rawBytes }) => rawStart >= end || rawStart + rawBytes <= start)
    .reduce((sum, { rawBytes }) => sum + rawBytes, 0);
  if (reads.length > 2 || beyond > 1024 * 1024) isHeld = false;
  rows.push({
    step: section.step_number,
    "step, bytes": section.raw_bytes,
    reads: reads.length,
    "read, bytes": reads.reduce((sum, { range }) => sum + (range ? range.end - range.start : 0), 0),
    "text beyond its frames": beyond,
    ms: ms.toFixed(1),
    "of the whole log's time": `${((ms / whole.ms) * 100).toFixed(1)} %`,
  });
}
process.stdout.write(
  `${totals.rawBytes} bytes in ${totals.frames.length} frames, ${totals.storedBytes} stored; read whole in ${whole.ms.toFixed(0)} ms\n${formatTable(rows)}\n`,
);
if (!isHeld) process.exitCode = 1;
