// The input of the invariant checks: an archive and its history. Invariants without input are skipped, and the result lists the others.

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import type { Client } from "pg";

import type { ArchiveJournal } from "./archive-journal.ts";
import type { ObjectSource } from "./object-source.ts";

export type Evidence = {
  readonly simulator: Simulator;
  /** Must be drained. */
  readonly journal: ArchiveJournal;
  /** Connected as the owner of the tables, who sees every row. */
  readonly client: Client;
  readonly objects: ObjectSource;
  /** ARCHIVE_SINCE, the start of coverage. */
  readonly since: Date | undefined;
  /**
   * Whether workers were killed and engines were broken. If so, a log may have been served several times and be flagged `adopted`, and what a
   * dead worker was shown of a deleted run may be lost.
   */
  readonly hadFaults: boolean;
  /** GITHUB_RESERVE_PERCENT; undefined: its default. */
  readonly reservePercent?: number;
  /** The output of processes. */
  readonly outputs?: readonly { readonly name: string; readonly text: string }[];
  /** Secrets. Each of their lines that is too long to occur by chance is searched for. */
  readonly canaries?: readonly string[];
  /** All keys and values in the queue's Redis. */
  readonly queue?: readonly string[];
  readonly processes?: readonly ProcessUse[];
  readonly peakCapKb?: number;
  /** Files left in spools. */
  readonly leftovers?: readonly string[];
  /** Of a job that ended after the system was quiescent: seconds until its log was archived; undefined when it never was. */
  readonly fresh?: { readonly seconds: number | undefined; readonly limit: number };
  /** Exit code and document of `verify --json --deep --against-database`. */
  readonly verify?: { readonly code: number | null; readonly report: unknown };
};

/** Samples of one process, in order of time. */
export type ProcessUse = {
  readonly name: string;
  readonly rssKb: readonly number[];
  /** VmHWM. */
  readonly peakKb: number;
  /** Open file descriptors. */
  readonly fds: readonly number[];
};
