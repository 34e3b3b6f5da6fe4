// Preloaded into a process that is measured (`node --import`): writes the longest block of its event loop, in milliseconds, to
// the file that LOOP_DELAY_FILE names, when the process ends.

import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

// oxlint-disable-next-line node/no-process-env -- a preloaded file has no other way to be told anything
const file = process.env["LOOP_DELAY_FILE"];
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
// Until then modules are loaded, and nothing is in flight whose lock must be renewed.
setTimeout(() => delay.reset(), 3_000).unref();
process.once("exit", () => {
  if (file !== undefined) writeFileSync(file, String(delay.max / 1e6));
});
