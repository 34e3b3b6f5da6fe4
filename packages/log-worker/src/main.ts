// The log-worker as a process: follows the one-minute link to each log and archives it.

import { runService } from "@actions-archive/core/service";

import { loadLogWorkerConfig } from "./config.ts";
import { startLogWorker } from "./start-log-worker.ts";

await runService("log-worker", () => loadLogWorkerConfig(process.env), startLogWorker);
