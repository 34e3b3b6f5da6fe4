// The dependencies and settings that every part of the log-worker shares.

import type { Spool } from "@actions-archive/archive/log/spool";
import type { Store } from "@actions-archive/archive/store/store";
import type { Logger } from "@actions-archive/core/logger";
import type { Metrics } from "@actions-archive/core/metrics";
import type { Producer } from "@actions-archive/core/queue";
import type { Database } from "@actions-archive/database/connection/open-database";
import type { GitHub } from "@actions-archive/github/github";

import type { LogLeases } from "./log-leases.ts";
import type { RwLock } from "./rw-lock.ts";

export type LogWorker = {
  readonly logLeases: LogLeases;
  readonly rwLock: RwLock;
  readonly db: Database;
  readonly store: Store;
  readonly github: GitHub;
  readonly spool: Spool;
  readonly loadQueue: Producer<"load">;
  /** The host's name in object keys. */
  readonly host: string;
  readonly log: Logger;
  readonly settings: LogWorkerSettings;
  readonly activity?: Activity | undefined;
  readonly metrics?: Metrics | undefined;
};

/** Receives progress of log transfers, for a caller that must distinguish it from waiting. */
export type Activity = {
  readonly recordProgress: () => void;
  readonly whileWorking: <T>(work: () => Promise<T>) => Promise<T>;
};

export type LogWorkerSettings = {
  readonly LOG_WAIT_SECONDS: number;
  readonly LOG_SETTLE_SECONDS: number;
  readonly MAX_LOG_BYTES: number;
};
