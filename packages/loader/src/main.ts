// The loader as a process: writes rows from the ledger and from records.

import { runService } from "@actions-archive/core/service";

import { loadLoaderConfig } from "./config.ts";
import { startLoader } from "./start-loader.ts";

await runService("loader", () => loadLoaderConfig(process.env), startLoader);
