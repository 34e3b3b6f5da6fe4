// The clock of the scrub.

import type { Service } from "@actions-archive/core/service";

import { runByTheClock } from "./clock.ts";
import type { Loader } from "./loader.ts";
import { scrubArchive } from "./scrub-archive.ts";

const turnMs = 30_000;

/** Reads the whole archive once in `SCRUB_DAYS`, turn by turn, until `resources` end it. Returns at once. */
export function startScrubbing(
  { SCRUB_DAYS }: { readonly SCRUB_DAYS: number },
  loader: Loader,
  { log, resources }: Pick<Service, "log" | "resources">,
): void {
  runByTheClock(resources, turnMs, async () => {
    try {
      await scrubArchive(loader, SCRUB_DAYS);
    } catch (error) {
      // The store or the database is away: the next turn goes on where this one began.
      log.warn({ err: error }, "scrubbing failed");
    }
  });
}
