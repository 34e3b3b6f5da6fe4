// Hunts through the archived logs of a choice of jobs, several at once, and tells of each that it could not read.

import { readLog } from "@actions-archive/archive/log/read-log";
import type { Section } from "@actions-archive/archive/record/record";
import { readLogRecord } from "@actions-archive/archive/record/records";
import type { Store } from "@actions-archive/archive/store/store";
import { ActionsArchiveError, TransientError } from "@actions-archive/core/errors";
import {
  listSearchJobs,
  listUnloadedSearchJobs,
  type SearchChoice,
  type SearchJob,
} from "@actions-archive/database/audit/search-jobs";
import type { Database } from "@actions-archive/database/connection/open-database";

import type { LineMatcher } from "./line-matcher.ts";
import { type LineMatch, searchText } from "./search-text.ts";

export type StepMatch = LineMatch & {
  /** Null where the line cannot be attributed to a step. */ readonly step_number: number | null;
};

export type Unread = {
  readonly problem:
    | "log_pending"
    | "log_failed"
    | "log_absent"
    | "log_damaged"
    | "log_unavailable"
    | "line_too_long"
    /** The log was searched; which steps its matches are in is not known. */
    | "record_unreadable";
  readonly detail: string;
};

export type SearchEvents = {
  /** Waited for: what takes matches sets the pace. */
  readonly onMatch: (job: SearchJob, match: StepMatch) => Promise<void>;
  readonly onUnread: (job: SearchJob, unread: Unread) => Promise<void>;
  readonly onProgress: (totals: SearchTotals) => void;
};

export type SearchOrder = {
  readonly jobs: AsyncIterableIterator<SearchJob>;
  readonly matcher: LineMatcher;
  /** The search ends after so many. */
  readonly maxMatches?: number | undefined;
  readonly signal?: AbortSignal;
};

export type SearchTotals = {
  /** Logs that were searched to their end. */
  logs: number;
  /** Of raw text. */
  bytes: number;
  matches: number;
  unread: number;
  /** It ended at `maxMatches`: there may be more. */
  isCut: boolean;
};

/** Reads from the store overlap; more of them only hold more memory. */
const logsAtOnce = 8;
const pageLength = 500;
const enough = new Error("as many matches as were asked for");

/** The jobs of a choice, page by page as they are asked for, the newest first. */
export async function* listJobs(db: Database, choice: SearchChoice): AsyncGenerator<SearchJob, undefined> {
  for (const list of [listUnloadedSearchJobs, listSearchJobs]) {
    for (let before: number | undefined; ;) {
      const page = await list(db, choice, { before, limit: pageLength });
      yield* page;
      before = page.at(-1)?.job_id;
      if (page.length < pageLength) break;
    }
  }
}

/** @throws the signal's reason; what `jobs` and the events throw. A log that cannot be read is told, and the others go on. */
export async function searchArchive(store: Store, order: SearchOrder, events: SearchEvents): Promise<SearchTotals> {
  const totals: SearchTotals = { logs: 0, bytes: 0, matches: 0, unread: 0, isCut: false };
  const hunt: Hunt = { store, totals, stop: new AbortController(), ...order, ...events };
  const { signal: stopped } = hunt.stop;
  const searchers = Array.from({ length: logsAtOnce }, async () => {
    try {
      for await (const job of shared(order.jobs)) {
        stopped.throwIfAborted();
        await searchJob(hunt, job);
        events.onProgress(totals);
      }
    } catch (error) {
      // The first reason counts, for all of them.
      hunt.stop.abort(error);
    }
  });
  await Promise.all(searchers);
  if (stopped.reason !== enough) stopped.throwIfAborted();
  totals.isCut = stopped.aborted;
  return totals;
}

// Each searcher takes the next job; one that ends early must not end the list for the others.
function shared<T>(jobs: AsyncIterableIterator<T>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => ({ next: () => jobs.next() }) };
}

type Hunt = SearchOrder & SearchEvents & { readonly store: Store; readonly totals: SearchTotals; readonly stop: AbortController };

async function searchJob(hunt: Hunt, job: SearchJob): Promise<void> {
  const { log_state: state, log_reason: reason } = job;
  if (state !== "archived" || job.log_key === null) {
    const problem = state === "failed" ? "log_failed" : state === "absent" ? "log_absent" : "log_pending";
    return tellUnread(hunt, job, { problem, detail: reason ?? "it is not archived yet" });
  }
  const steps = openSteps(hunt, job);
  try {
    const { rawBytes, unprovenLines } = await searchText(
      framesOf(hunt, { ...job, log_key: job.log_key }),
      hunt.matcher,
      async (match) => {
        hunt.stop.signal.throwIfAborted();
        hunt.totals.matches += 1;
        // Nothing between the count and the stop may wait: other logs' matches would come in between.
        if (hunt.totals.matches === hunt.maxMatches) hunt.stop.abort(enough);
        await hunt.onMatch(job, { ...match, step_number: await steps.numberAt(match.line_number) });
      },
    );
    hunt.totals.logs += 1;
    hunt.totals.bytes += rawBytes;
    if (unprovenLines === 0) return;
    const lines = unprovenLines === 1 ? "A line was" : `${unprovenLines} lines were`;
    await tellUnread(hunt, job, {
      problem: "line_too_long",
      detail: `${lines} searched in pieces, for length: a match across pieces may hide there. --fixed finds all`,
    });
  } catch (error) {
    if (!(error instanceof ActionsArchiveError)) throw error;
    await tellUnread(hunt, job, problemOf(error));
  }
}

async function* framesOf({ store, stop, signal }: Hunt, job: SearchJob & { log_key: string }): AsyncIterable<Buffer> {
  const options = {
    sizeBytes: job.stored_bytes ?? undefined,
    rawBytes: job.raw_bytes ?? undefined,
    versionId: job.log_version_id ?? undefined,
  };
  for await (const frame of readLog(store, job.log_key, options)) {
    signal?.throwIfAborted();
    stop.signal.throwIfAborted();
    yield frame;
  }
}

// The sections of a log lie in its record, which is read when the first match wants it.
function openSteps(hunt: Hunt, job: SearchJob): { numberAt: (line: number) => Promise<number | null> } {
  let sections: readonly Section[] | undefined;
  return {
    async numberAt(line) {
      sections ??= await readSections(hunt, job);
      return (
        sections.find(({ first_line, line_count }) => line >= first_line && line < first_line + line_count)?.step_number ?? null
      );
    },
  };
}

async function readSections(hunt: Hunt, job: SearchJob): Promise<readonly Section[]> {
  if (job.record_key === null) return [];
  try {
    return (await readLogRecord(hunt.store, job.record_key, job.job_id)).sections ?? [];
  } catch (error) {
    if (!(error instanceof ActionsArchiveError)) throw error;
    await tellUnread(hunt, job, { problem: "record_unreadable", detail: error.message });
    return [];
  }
}

async function tellUnread(hunt: Hunt, job: SearchJob, unread: Unread): Promise<void> {
  hunt.totals.unread += 1;
  await hunt.onUnread(job, unread);
}

function problemOf(error: ActionsArchiveError): Unread {
  return { problem: error instanceof TransientError ? "log_unavailable" : "log_damaged", detail: error.message };
}
