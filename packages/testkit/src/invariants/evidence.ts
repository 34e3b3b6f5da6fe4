// What the judge is shown of an archive and of its past. What is left out is not judged, and the verdict says so.

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import type { Client } from "pg";

import type { ArchiveJournal } from "./archive-journal.ts";
import type { ObjectSource } from "./object-source.ts";

export type Evidence = {
  readonly simulator: Simulator;
  /** Drained to its end. */
  readonly journal: ArchiveJournal;
  /** Of the tables' owner: it sees every row. */
  readonly client: Client;
  readonly objects: ObjectSource;
  /** ARCHIVE_SINCE, where coverage starts. */
  readonly since: Date | undefined;
  /**
   * Workers were killed and engines broken: a log may have been served more often, `adopted` may stand on it, and of a deleted run what
   * was told to somebody who died of it may be unknown.
   */
  readonly hadFaults: boolean;
  /** GITHUB_RESERVE_PERCENT; its default where it is left out. */
  readonly reservePercent?: number;
  /** What processes printed. */
  readonly outputs?: readonly { readonly name: string; readonly text: string }[];
  /** Secrets: each line of them that is long enough to be told from chance. */
  readonly canaries?: readonly string[];
  /** Every key and value that the queue's Redis holds. */
  readonly queue?: readonly string[];
  readonly processes?: readonly ProcessUse[];
  readonly peakCapKb?: number;
  /** Files in spools. */
  readonly leftovers?: readonly string[];
  /** Of a job that ended when all was calm: seconds until it was archived; undefined when it never was. */
  readonly fresh?: { readonly seconds: number | undefined; readonly limit: number };
  /** How `verify --json --deep --against-database` ended, and its document. */
  readonly verify?: { readonly code: number | null; readonly report: unknown };
};

/** Of one process, in the order of time. */
export type ProcessUse = {
  readonly name: string;
  readonly rssKb: readonly number[];
  /** VmHWM. */
  readonly peakKb: number;
  /** Open file descriptors. */
  readonly fds: readonly number[];
};
