// The loader's periodic work outside the queue.

import { runPeriodically } from "@actions-archive/core/run-periodically";
import type { Service } from "@actions-archive/core/service";

import type { LoaderConfig } from "./config.ts";
import type { Loader } from "./loader.ts";
import { rereadOwedLogs } from "./reread/reread-logs.ts";
import { applyPolicies, removeTombstoned } from "./retention/apply-retention.ts";
import { makeBlockerReport } from "./seal/report-blockers.ts";
import { scrubArchive } from "./seal/scrub-archive.ts";
import { type OpenLoader, startSealing } from "./seal/start-sealing.ts";

/** Interval of maintenance. Each task is bounded, so that none delays the others for long. */
const turnMs = 30_000;
const blockersMs = 5_000;

/** How soon after the job's full listing its log is split again, and how long a loader rereads without a break. */
const rereadRestMs = 10_000;
const rereadTurnMs = 10_000;

/** Seals, applies retention, scrubs and rereads logs until the service's resources end it. Returns at once. */
export function startMaintenance(
  config: Pick<LoaderConfig, "SEAL_KEY" | "SEAL_KEY_FILE" | "SEAL_INTERVAL_SECONDS" | "SCRUB_DAYS">,
  open: OpenLoader,
  service: Pick<Service, "log" | "resources" | "stopping">,
): void {
  startSealing(config, open, service);
  void runPeriodically(service.resources, turnMs, () => runMaintenance(config, open.loader));
  void runPeriodically(service.resources, rereadRestMs, () => reread(open.loader, service.stopping));
  const reportBlockers = makeBlockerReport(open.loader);
  void runPeriodically(service.resources, blockersMs, async () => {
    try {
      await reportBlockers();
    } catch (error) {
      open.loader.log.debug({ err: error }, "blocking sessions not listed");
    }
  });
}

async function reread(loader: Loader, signal: AbortSignal): Promise<void> {
  try {
    await rereadOwedLogs(loader, { budgetMs: rereadTurnMs, signal });
  } catch (error) {
    if (!signal.aborted) loader.log.warn({ err: error }, "rereading archived logs failed");
  }
}

// The store or the database may be unavailable; the next turn continues each task.
async function runMaintenance({ SCRUB_DAYS }: Pick<LoaderConfig, "SCRUB_DAYS">, loader: Loader): Promise<void> {
  const tasks = {
    "retention policies": () => applyPolicies(loader),
    "log removal": () => removeTombstoned(loader),
    scrub: () => scrubArchive(loader, SCRUB_DAYS),
  };
  for (const [task, run] of Object.entries(tasks)) {
    try {
      await run();
    } catch (error) {
      loader.log.warn({ err: error, task }, "maintenance task failed");
    }
  }
}
