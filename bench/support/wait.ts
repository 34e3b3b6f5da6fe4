// Waits for another process.

import { setTimeout as sleep } from "node:timers/promises";

/** Polls until the condition holds. @throws when it does not hold in time. */
export async function until(isSo: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error("the awaited condition did not hold in time");
    await sleep(20);
  }
}
