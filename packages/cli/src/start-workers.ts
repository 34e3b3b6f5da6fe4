// Starts all workers in one process.

import { Metrics } from "@actions-archive/core/metrics";
import type { Service } from "@actions-archive/core/service";
import { startFetcher } from "@actions-archive/fetcher/start-fetcher";
import { startMaintenance } from "@actions-archive/loader/maintenance";
import { startLoader } from "@actions-archive/loader/start-loader";
import { startLogWorker } from "@actions-archive/log-worker/start-log-worker";

import type { StartConfig } from "./start-config.ts";

/** Returns once all three run; `resources` stop them. Only the fetcher serves PORT, which a process can open once. */
export async function startWorkers(config: StartConfig, service: Pick<Service, "log" | "resources" | "stopping">): Promise<void> {
  const withoutPort = { ...config, PORT: undefined };
  const metrics = new Metrics(service.log);
  const named = (worker: string) => ({ ...service, metrics, log: service.log.child({ worker }) });
  const loader = named("loader");
  startMaintenance(config, await startLoader(withoutPort, loader), loader);
  await startLogWorker(withoutPort, named("log-worker"));
  await startFetcher(config, named("fetcher"));
}
