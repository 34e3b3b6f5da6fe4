// The state from which an operation starts, and to which it is reset before each crash.

import type { Settings } from "../processes.ts";
import type { OperationName, Span } from "./operations.ts";

/** The contents of an archive: every row of the ledger and every object of the store. */
export type Evidence = {
  /** By table, sorted by their JSON text. */
  readonly rows: Readonly<Record<string, readonly unknown[]>>;
  readonly objects: Readonly<Record<string, unknown>>;
};

export type CopiedStore = { readonly settings: Settings; readonly drop: () => Promise<void> };

/** The state before an operation. No client may be connected to its database: it is the template of each copy. */
export type InitialState = {
  readonly operation: OperationName;
  readonly span?: Span;
  readonly folder: string;
  /** DATABASE_URL is the template's; ARCHIVE_URL is the copy's. */
  readonly settings: Settings;
  /** Creates a store with the same objects. */
  readonly copyStore: (name: string) => Promise<CopiedStore>;
  /** By table: columns whose values may differ, such as times and counters. */
  readonly forget?: Readonly<Record<string, readonly string[]>>;
  /** @returns what is compared of an object; undefined: the default, its content. */
  readonly objectOf?: (key: string, bytes: Buffer) => unknown;
  /** Checks what each crash left. */
  readonly check?: (left: Evidence) => void;
};
