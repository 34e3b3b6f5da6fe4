// Preloaded into a measured process (`node --import`). At exit it writes the longest block of the event loop, in milliseconds, to the file
// named by LOOP_DELAY_FILE.

import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

// oxlint-disable-next-line node/no-process-env -- a preloaded module has no other input
const file = process.env["LOOP_DELAY_FILE"];
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
// Skips the loading of modules, during which no lock needs renewal.
setTimeout(() => delay.reset(), 3_000).unref();
process.once("exit", () => {
  if (file !== undefined) writeFileSync(file, String(delay.max / 1e6));
});
