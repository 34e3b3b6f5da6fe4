// Dependencies of every part of the loader.

import type { Store } from "@actions-archive/archive/store/store";
import type { Logger } from "@actions-archive/core/logger";
import type { Metrics } from "@actions-archive/core/metrics";
import type { Database } from "@actions-archive/database/connection/open-database";

export type Loader = {
  readonly db: Database;
  readonly store: Store;
  /** As in keys. */
  readonly host: string;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
};

/** What writing rows of already read objects needs. */
export type RowWriter = Pick<Loader, "db" | "log">;
