// The state from which an operation starts, and from which each crash starts again.

import type { Settings } from "../processes.ts";
import type { OperationName, Span } from "./operations.ts";

/** All that an archive holds: every row of the ledger, every object of the store. */
export type Evidence = {
  /** By table, in the order of their text. */
  readonly rows: Readonly<Record<string, readonly unknown[]>>;
  readonly objects: Readonly<Record<string, unknown>>;
};

export type CopiedStore = { readonly settings: Settings; readonly drop: () => Promise<void> };

/** The beginning of an act. Nobody is connected to its database. */
export type InitialState = {
  readonly act: OperationName;
  readonly span?: Span;
  readonly folder: string;
  /** DATABASE_URL is that of the beginning; ARCHIVE_URL is the copy's. */
  readonly settings: Settings;
  /** A store that holds what the beginning's does. */
  readonly copyStore: (name: string) => Promise<CopiedStore>;
  /** Columns that hold a time or a number of no consequence, by table; all columns of the tables in `*`. */
  readonly forget?: Readonly<Record<string, readonly string[]>>;
  /** What remains of an object to be compared; undefined: as for every object. */
  readonly objectOf?: (key: string, bytes: Buffer) => unknown;
  /** Sees what each death left. */
  readonly checkInvariants?: (left: Evidence) => void;
};
