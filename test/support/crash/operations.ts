// The operations that a crash may interrupt, as a worker performs them but without its queue. Each reads its work from the ledger, so it
// can be repeated, as a queue redelivers.

import type { Environment } from "@actions-archive/core/config";
import { createLogger, type Logger } from "@actions-archive/core/logger";

import type { CallCounter } from "../crash-at.ts";

export const operationNames = ["load", "seal", "remove", "rebuild", "poll", "backfill", "archive"] as const;
export type OperationName = (typeof operationNames)[number];

/** The time span of a backfill. */
export type Span = { readonly since: Date; readonly until: Date };

export type OpenOperation = {
  readonly perform: () => Promise<void>;
  /** Counts calls other than SQL statements, HTTP requests and changes of files. */
  readonly count?: (counter: CallCounter) => void;
};

export type Opening = {
  /** Settings, in the form that the operation's worker takes. */
  readonly env: Environment;
  readonly resources: AsyncDisposableStack;
  readonly span: Span | undefined;
  readonly log: Logger;
};

/** The application_name in pg_stat_activity. */
export const operationActor = "crash test";

// A process starts for each crash, so it loads only the modules of its operation.
const openings: Record<OperationName, (opening: Opening) => Promise<OpenOperation>> = {
  load: async (opening) => (await import("./loader-operations.ts")).openLoad(opening),
  seal: async (opening) => (await import("./loader-operations.ts")).openSeal(opening),
  remove: async (opening) => (await import("./loader-operations.ts")).openRemove(opening),
  rebuild: async (opening) => (await import("./loader-operations.ts")).openRebuild(opening),
  poll: async (opening) => (await import("./fetcher-operations.ts")).openPoll(opening),
  backfill: async (opening) => (await import("./fetcher-operations.ts")).openBackfill(opening),
  archive: async (opening) => (await import("./log-worker-operations.ts")).openArchiving(opening),
};

/** Opens what the operation needs; disposing `resources` closes it. */
export async function openOperation(operation: OperationName, opening: Omit<Opening, "log">): Promise<OpenOperation> {
  return openings[operation]({ ...opening, log: createLogger("crash", "fatal") });
}
