// The loader process: loads rows from ledger and records, seals, applies retention, scrubs and rereads logs.

import { runService } from "@actions-archive/core/service";

import { loadLoaderConfig } from "./config.ts";
import { startMaintenance } from "./maintenance.ts";
import { startLoader } from "./start-loader.ts";

await runService(
  "loader",
  () => loadLoaderConfig(process.env),
  async (config, service) => startMaintenance(config, await startLoader(config, service), service),
);
