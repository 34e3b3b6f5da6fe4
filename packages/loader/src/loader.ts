// What every part of the loader works with.

import type { Store } from "@actions-archive/archive/store/store";
import type { Logger } from "@actions-archive/core/logger";
import type { Database } from "@actions-archive/database/connection/open-database";

export type Loader = {
  readonly db: Database;
  readonly store: Store;
  /** As it stands in keys. */
  readonly host: string;
  readonly log: Logger;
};

/** What is enough to write rows of objects that are read already. */
export type RowWriter = Pick<Loader, "db" | "log">;
