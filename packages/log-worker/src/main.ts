// The log-worker as a process: downloads each log through its one-minute link and archives it.

import { limitYoungGeneration } from "./limit-young-generation.ts";

limitYoungGeneration();
// Imported afterwards, so that a replaced process has not loaded them.
const { runService } = await import("@actions-archive/core/service");
const { loadLogWorkerConfig } = await import("./config.ts");
const { startLogWorker } = await import("./start-log-worker.ts");

await runService("log-worker", () => loadLogWorkerConfig(process.env), startLogWorker);
