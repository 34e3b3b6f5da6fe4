// The log-worker as a process: follows the one-minute link to each log and archives it.

import { limitYoungGeneration } from "./limit-young-generation.ts";

limitYoungGeneration();
// Imported afterwards, so that a process that is replaced has not loaded them.
const { runService } = await import("@actions-archive/core/service");
const { loadLogWorkerConfig } = await import("./config.ts");
const { startLogWorker } = await import("./start-log-worker.ts");

await runService("log-worker", () => loadLogWorkerConfig(process.env), startLogWorker);
