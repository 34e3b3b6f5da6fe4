// What a crash may cut short, each as its worker does it, without the queue before it: opened first, then done, once more or for the
// first time. Each finds in the ledger what is to be done, as everything is delivered again.

import type { Environment } from "@actions-archive/core/config";
import { createLogger, type Logger } from "@actions-archive/core/logger";

import type { CallCounter } from "../crash-at.ts";

export const operationNames = ["load", "seal", "remove", "rebuild", "poll", "backfill", "archive"] as const;
export type OperationName = (typeof operationNames)[number];

/** The span of a backfill, where it is one. */
export type Span = { readonly since: Date; readonly until: Date };

export type OpenOperation = {
  readonly perform: () => Promise<void>;
  /** Has calls counted that are no statement, no request over HTTP and no change of a folder. */
  readonly count?: (counter: CallCounter) => void;
};

export type Opening = {
  /** Settings, as the act's worker takes them. */
  readonly env: Environment;
  readonly resources: AsyncDisposableStack;
  readonly span: Span | undefined;
  readonly log: Logger;
};

/** As it stands in pg_stat_activity. */
export const operationActor = "crash test";

// A process starts for each death: it loads what its own act needs, and no more.
const openings: Record<OperationName, (opening: Opening) => Promise<OpenOperation>> = {
  load: async (opening) => (await import("./loader-operations.ts")).openLoad(opening),
  seal: async (opening) => (await import("./loader-operations.ts")).openSeal(opening),
  remove: async (opening) => (await import("./loader-operations.ts")).openRemove(opening),
  rebuild: async (opening) => (await import("./loader-operations.ts")).openRebuild(opening),
  poll: async (opening) => (await import("./fetcher-operations.ts")).openPoll(opening),
  backfill: async (opening) => (await import("./fetcher-operations.ts")).openBackfill(opening),
  archive: async (opening) => (await import("./log-worker-operations.ts")).openArchiving(opening),
};

/** Opens all that the act works with; `resources` close it. */
export async function openOperation(act: OperationName, opening: Omit<Opening, "log">): Promise<OpenOperation> {
  return openings[act]({ ...opening, log: createLogger("crash", "fatal") });
}
