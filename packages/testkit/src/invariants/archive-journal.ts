// A compact summary of the archiver's requests to the simulated GitHub, whose journal is drained into it periodically.

import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import type { Simulator } from "@actions-archive/github-simulator/simulator";

/** Kinds of calls; the first pattern that matches the path decides. */
const kinds: readonly (readonly [string, RegExp])[] = [
  ["log links", /\/actions\/jobs\/\d+\/logs$/],
  ["single jobs", /\/actions\/jobs\/\d+$/],
  ["jobs of an attempt", /\/actions\/runs\/\d+(\/attempts\/\d+)?\/jobs$/],
  ["single attempts", /\/attempts\/\d+$/],
  ["single runs", /\/actions\/runs\/\d+$/],
  ["lists of runs", /\/actions\/runs$/],
  ["retention", /artifact-and-log-retention$/],
  ["tokens", /\/access_tokens$/],
  ["deliveries", /\/app\/hook\//],
  ["repositories", /\/(repos\/[^/]+\/[^/]+|repositories\/\d+|installation\/repositories|app\/installations)$/],
];

/** The minimum pause that GitHub asks for where a 429 names no time. */
const unnamedPauseMs = 60_000;

/** A span of real time in which a credential must not send requests. GitHub's answer names seconds, which the archiver waits in real time. */
export type Pause = { readonly credential: string; readonly fromMs: number; readonly untilMs: number };

/** The requests of a credential in one window of GitHub's primary limit. */
export type LimitWindow = { readonly credential: string; readonly limit: number; counted: number };

export class ArchiveJournal {
  /** Number of calls by kind; 304s, redirects and errors are separate kinds. */
  readonly calls = new Map<string, number>();
  /** By job: how often the log host served its complete log. */
  readonly served = new Map<number, number>();
  /** By `run/attempt`: when its jobs were last listed, in simulated milliseconds. */
  readonly listed = new Map<string, number>();
  /** Runs for which a client got a 404. */
  readonly missed = new Set<number>();
  /** By credential: when requests arrived, in real milliseconds. */
  readonly arrivals = new Map<string, number[]>();
  readonly pauses: Pause[] = [];
  /** By credential and end of the window. */
  readonly windows = new Map<string, LimitWindow>();
  /** Signatures of followed links, decoded. */
  readonly signatures = new Set<string>();
  readonly #simulator: Simulator;

  constructor(simulator: Simulator) {
    this.#simulator = simulator;
  }

  /** Moves entries that have completed since the last call into this summary. */
  drain(): void {
    for (const entry of this.#simulator.journal.takeFinished()) this.add(entry);
  }

  get apiCalls(): number {
    return [...this.calls].reduce((sum, [kind, count]) => (kind.startsWith("not modified") ? sum : sum + count), 0);
  }

  /** Adds one request. */
  add(entry: JournalEntry): void {
    if (entry.origin === "log") return this.#recordDownload(entry);
    if (entry.origin === "control") return;
    const path = entry.url.split("?")[0] ?? "";
    const name = kindOf(entry, path);
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    this.#recordLimits(entry, path);
    const [, runId, attempt] = /\/actions\/runs\/(\d+)(?:\/attempts\/(\d+)\/jobs)?/.exec(path) ?? [];
    if (runId === undefined) return;
    if (entry.status === 404) this.missed.add(Number(runId));
    if (attempt !== undefined && entry.status === 200) this.listed.set(`${runId}/${attempt}`, entry.simulatedAt.getTime());
  }

  #recordDownload({ url, status }: JournalEntry): void {
    const signature = new URLSearchParams(url.split("?")[1]).get("sig");
    if (signature !== null) this.signatures.add(signature);
    const jobId = Number.parseInt(/-([0-9a-f]{12})\/logs\//.exec(url)?.[1] ?? "", 16);
    if (status === 200) this.served.set(jobId, (this.served.get(jobId) ?? 0) + 1);
  }

  #recordLimits(entry: JournalEntry, path: string): void {
    const { credential, limits } = entry;
    if (credential === undefined) return;
    const arrivals = this.arrivals.get(credential) ?? [];
    if (arrivals.length === 0) this.arrivals.set(credential, arrivals);
    arrivals.push(entry.receivedAt.getTime());
    const pauseMs = pauseMsOf(entry);
    const fromMs = entry.finishedAt?.getTime();
    if (pauseMs !== undefined && fromMs !== undefined) this.pauses.push({ credential, fromMs, untilMs: fromMs + pauseMs });
    // GitHub does not count 304s and requests for the rate limit itself.
    if (limits["x-ratelimit-limit"] === undefined || entry.status === 304 || path.endsWith("/rate_limit")) return;
    const key = `${credential} ${limits["x-ratelimit-reset"]}`;
    const window = this.windows.get(key) ?? { credential, limit: Number(limits["x-ratelimit-limit"]), counted: 0 };
    window.counted += 1;
    this.windows.set(key, window);
  }
}

function kindOf({ url, status }: JournalEntry, path: string): string {
  const kind = kinds.find(([, pattern]) => pattern.test(path))?.[0] ?? "other";
  if (status === 304) return `not modified: ${kind}`;
  if (status >= 400 || status === 301) return `${status}: ${kind}`;
  if (kind !== "lists of runs") return kind;
  return /[?&]created=/.test(url) ? "lists of runs, windows" : "lists of runs, first pages";
}

/** https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit */
function pauseMsOf({ status, limits }: JournalEntry): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const nowMs = Date.parse(limits["date"] ?? "");
  const after = limits["retry-after"];
  if (after !== undefined) return /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - nowMs;
  if (limits["x-ratelimit-remaining"] === "0") return Number(limits["x-ratelimit-reset"]) * 1000 - nowMs;
  return status === 429 ? unnamedPauseMs : undefined;
}
