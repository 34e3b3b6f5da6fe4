// The fetcher as a process: finds completed jobs, writes the ledger, feeds the queues.

import { runService } from "@actions-archive/core/service";

import { loadFetcherConfig } from "./config.ts";
import { startFetcher } from "./start-fetcher.ts";

await runService("fetcher", () => loadFetcherConfig(process.env), startFetcher);
