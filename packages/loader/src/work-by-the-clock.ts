// All that the loader does beside the queue, while it runs.

import type { Service } from "@actions-archive/core/service";

import type { LoaderConfig } from "./config.ts";
import { startScrubbing } from "./start-scrubbing.ts";
import { type OpenLoader, startSealing } from "./start-sealing.ts";

/** Seals and scrubs until the service's resources end it. Returns at once. */
export function workByTheClock(
  config: Pick<LoaderConfig, "SEAL_KEY" | "SEAL_KEY_FILE" | "SEAL_INTERVAL_SECONDS" | "SCRUB_DAYS">,
  open: OpenLoader,
  service: Pick<Service, "log" | "resources">,
): void {
  startSealing(config, open, service);
  startScrubbing(config, open.loader, service);
}
