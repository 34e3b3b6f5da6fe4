// Searches the archived logs of selected jobs concurrently, and reports each log that could not be read.

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
    /** The log was searched, but the steps of its matches are unknown. */
    | "record_unreadable";
  readonly detail: string;
};

export type SearchEvents = {
  /** Awaited, so the receiver sets the pace. */
  readonly onMatch: (job: SearchJob, match: StepMatch) => Promise<void>;
  readonly onUnread: (job: SearchJob, unread: Unread) => Promise<void>;
  readonly onProgress: (totals: SearchTotals) => void;
};

export type SearchOrder = {
  readonly jobs: AsyncIterableIterator<SearchJob>;
  readonly matcher: LineMatcher;
  /** The search ends after this many matches. */
  readonly maxMatches?: number | undefined;
  readonly signal?: AbortSignal;
};

export type SearchTotals = {
  /** Completely searched logs. */
  logs: number;
  /** Bytes of raw text. */
  bytes: number;
  matches: number;
  unread: number;
  /** Whether it ended at `maxMatches`: there may be more. */
  isCut: boolean;
};

/** Concurrent logs: reads from the store overlap; more would only use more memory. */
const logsAtOnce = 8;
const pageLength = 500;
const maxMatchesReached = new Error("the maximum of matches is reached");

/** The selected jobs, newest first, fetched page by page. */
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

/**
 * Searches the jobs' logs. A log that cannot be read is reported, and the search continues.
 * @throws the signal's reason; what `jobs` and the events throw.
 */
export async function searchArchive(store: Store, order: SearchOrder, events: SearchEvents): Promise<SearchTotals> {
  const totals: SearchTotals = { logs: 0, bytes: 0, matches: 0, unread: 0, isCut: false };
  const context: SearchContext = { store, totals, stop: new AbortController(), ...order, ...events };
  const { signal: stopped } = context.stop;
  const searchers = Array.from({ length: logsAtOnce }, async () => {
    try {
      for await (const job of shared(order.jobs)) {
        stopped.throwIfAborted();
        await searchJob(context, job);
        events.onProgress(totals);
      }
    } catch (error) {
      // The first error ends all searchers.
      context.stop.abort(error);
    }
  });
  await Promise.all(searchers);
  if (stopped.reason !== maxMatchesReached) stopped.throwIfAborted();
  totals.isCut = stopped.aborted;
  return totals;
}

// Shares the iterator between searchers: one that ends early must not end it for the others.
function shared<T>(jobs: AsyncIterableIterator<T>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => ({ next: () => jobs.next() }) };
}

type SearchContext = SearchOrder &
  SearchEvents & { readonly store: Store; readonly totals: SearchTotals; readonly stop: AbortController };

async function searchJob(context: SearchContext, job: SearchJob): Promise<void> {
  const { log_state: state, log_reason: reason } = job;
  if (state !== "archived" || job.log_key === null) {
    const problem = state === "failed" ? "log_failed" : state === "absent" ? "log_absent" : "log_pending";
    return reportUnread(context, job, { problem, detail: reason ?? "it is not archived yet" });
  }
  const steps = openSteps(context, job);
  try {
    const { rawBytes, unprovenLines } = await searchText(
      framesOf(context, { ...job, log_key: job.log_key }),
      context.matcher,
      async (match) => {
        context.stop.signal.throwIfAborted();
        context.totals.matches += 1;
        // There must be no await between the count and the abort: other logs' matches would be counted in between.
        if (context.totals.matches === context.maxMatches) context.stop.abort(maxMatchesReached);
        await context.onMatch(job, { ...match, step_number: await steps.numberAt(match.line_number) });
      },
    );
    context.totals.logs += 1;
    context.totals.bytes += rawBytes;
    if (unprovenLines === 0) return;
    const lines = unprovenLines === 1 ? "A line was" : `${unprovenLines} lines were`;
    await reportUnread(context, job, {
      problem: "line_too_long",
      detail: `${lines} searched in pieces because of the length: a match across pieces may be missed. --fixed finds all`,
    });
  } catch (error) {
    if (!(error instanceof ActionsArchiveError)) throw error;
    await reportUnread(context, job, problemOf(error));
  }
}

async function* framesOf({ store, stop, signal }: SearchContext, job: SearchJob & { log_key: string }): AsyncIterable<Buffer> {
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

// The sections of a log are in its record, which is read on the first match.
function openSteps(context: SearchContext, job: SearchJob): { numberAt: (line: number) => Promise<number | null> } {
  let sections: readonly Section[] | undefined;
  return {
    async numberAt(line) {
      sections ??= await readSections(context, job);
      return (
        sections.find(({ first_line, line_count }) => line >= first_line && line < first_line + line_count)?.step_number ?? null
      );
    },
  };
}

async function readSections(context: SearchContext, job: SearchJob): Promise<readonly Section[]> {
  if (job.record_key === null) return [];
  try {
    return (await readLogRecord(context.store, job.record_key, job.job_id)).sections ?? [];
  } catch (error) {
    if (!(error instanceof ActionsArchiveError)) throw error;
    await reportUnread(context, job, { problem: "record_unreadable", detail: error.message });
    return [];
  }
}

async function reportUnread(context: SearchContext, job: SearchJob, unread: Unread): Promise<void> {
  context.totals.unread += 1;
  await context.onUnread(job, unread);
}

function problemOf(error: ActionsArchiveError): Unread {
  return { problem: error instanceof TransientError ? "log_unavailable" : "log_damaged", detail: error.message };
}
