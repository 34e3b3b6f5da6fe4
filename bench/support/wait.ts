// Waiting for what another process does.

import { setTimeout as sleep } from "node:timers/promises";

/** Looks again and again. @throws Error when it is not so in time. */
export async function until(isSo: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error("what was waited for did not happen");
    await sleep(20);
  }
}
