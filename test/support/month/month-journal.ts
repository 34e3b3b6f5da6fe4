// What the archiver asked during a month, kept small: the simulator's journal is emptied into it every few moments.

import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import type { Simulator } from "@actions-archive/github-simulator/simulator";

/** Kinds of calls, by the first pattern that the path matches. */
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

export class MonthJournal {
  /** How many of each kind; answers that nothing changed, redirects and errors are kinds of their own. */
  readonly calls = new Map<string, number>();
  /** How often the log host served each job's log whole. */
  readonly served = new Map<number, number>();
  /** By `run/attempt`: when its jobs were last listed, in simulated milliseconds. */
  readonly listed = new Map<string, number>();
  /** Runs that somebody was told are not there. */
  readonly missed = new Set<number>();
  readonly #simulator: Simulator;

  constructor(simulator: Simulator) {
    this.#simulator = simulator;
  }

  /** Takes over what has ended since the last time. */
  drain(): void {
    for (const entry of this.#simulator.journal.takeFinished()) this.#note(entry);
  }

  get apiCalls(): number {
    return [...this.calls].reduce((sum, [kind, count]) => (kind.startsWith("not modified") ? sum : sum + count), 0);
  }

  #note(entry: JournalEntry): void {
    if (entry.origin === "log") {
      const jobId = Number.parseInt(/-([0-9a-f]{12})\/logs\//.exec(entry.url)?.[1] ?? "", 16);
      if (entry.status === 200) this.served.set(jobId, (this.served.get(jobId) ?? 0) + 1);
      return;
    }
    if (entry.origin === "control") return;
    const path = entry.url.split("?")[0] ?? "";
    const kind = kinds.find(([, pattern]) => pattern.test(path))?.[0] ?? "other";
    const name =
      entry.status === 304
        ? `not modified: ${kind}`
        : entry.status >= 400 || entry.status === 301
          ? `${entry.status}: ${kind}`
          : kind === "lists of runs"
            ? /[?&]created=/.test(entry.url)
              ? "lists of runs, windows"
              : "lists of runs, first pages"
            : kind;
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    const [, runId, attempt] = /\/actions\/runs\/(\d+)(?:\/attempts\/(\d+)\/jobs)?/.exec(path) ?? [];
    if (runId === undefined) return;
    if (entry.status === 404) this.missed.add(Number(runId));
    if (attempt !== undefined && entry.status === 200) this.listed.set(`${runId}/${attempt}`, entry.simulatedAt.getTime());
  }
}
