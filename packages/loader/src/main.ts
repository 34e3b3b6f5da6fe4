// The loader as a process: writes rows from the ledger and from records, and seals.

import { runService } from "@actions-archive/core/service";

import { loadLoaderConfig } from "./config.ts";
import { startLoader } from "./start-loader.ts";
import { startSealing } from "./start-sealing.ts";

await runService(
  "loader",
  () => loadLoaderConfig(process.env),
  async (config, service) => startSealing(config, await startLoader(config, service), service),
);
