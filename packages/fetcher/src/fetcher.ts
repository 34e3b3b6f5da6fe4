// The dependencies and settings that every part of the fetcher shares.

import type { Logger } from "@actions-archive/core/logger";
import type { Metrics } from "@actions-archive/core/metrics";
import type { Producer } from "@actions-archive/core/queue";
import type { Database } from "@actions-archive/database/connection/open-database";
import type { GitHub } from "@actions-archive/github/github";

export type Fetcher = {
  readonly db: Database;
  readonly github: GitHub;
  readonly archiveQueue: Producer<"archive">;
  readonly loadQueue: Producer<"load">;
  readonly log: Logger;
  readonly settings: FetcherSettings;
  readonly metrics?: Metrics | undefined;
};

export type FetcherSettings = {
  readonly ARCHIVE_REPOSITORIES?: string | undefined;
  readonly ARCHIVE_SINCE?: Date | undefined;
  readonly POLL_INTERVAL_SECONDS: number;
  readonly RUN_SETTLE_SECONDS: number;
};
