// The loader as a process: writes rows from the ledger and from records, seals, and reads the archive again.

import { runService } from "@actions-archive/core/service";

import { loadLoaderConfig } from "./config.ts";
import { startMaintenance } from "./maintenance.ts";
import { startLoader } from "./start-loader.ts";

await runService(
  "loader",
  () => loadLoaderConfig(process.env),
  async (config, service) => startMaintenance(config, await startLoader(config, service), service),
);
