// Records every request to the simulator and its answer, for tests of credentials, limits and calls.
export type JournalEntry = {
  /** Counts from 1. */
  readonly sequence: number;
  /** Real time of the request's arrival. */
  readonly receivedAt: Date;
  readonly simulatedAt: Date;
  readonly origin: "api" | "log" | "control";
  readonly method: string;
  /** Path and query as sent. */
  readonly url: string;
  /** Lower-case names; the value of `authorization` is replaced. */
  readonly headers: Readonly<Record<string, string>>;
  readonly hasAuthorization: boolean;
  /** Id of the credential, never its secret; undefined without a known one. */
  credential: string | undefined;
  /** 0 until the answer begins; stays 0 when a fault closed the connection before. */
  status: number;
  bytesSent: number;
  /** The answer's `retry-after`, `x-ratelimit-…` and `date` headers; empty until it begins. */
  limits: Readonly<Record<string, string>>;
  /** Undefined while the answer is in progress. */
  finishedAt: Date | undefined;
  /** The fault that changed the answer. */
  fault: string | undefined;
};

export type JournalFilter = {
  readonly origin?: JournalEntry["origin"];
  readonly method?: string;
  /** Part of the URL. */
  readonly url?: string;
  readonly status?: number;
  /** Only entries after this sequence number. */
  readonly after?: number;
};

/** Older entries are dropped above this number. A soak test must not fill the memory. */
const maxEntries = 500_000;

export class Journal {
  #entries: JournalEntry[] = [];
  #sequence = 0;
  readonly #waiting = new Set<{ filter: JournalFilter; resolve: (entry: JournalEntry) => void }>();

  add(entry: Omit<JournalEntry, "sequence">): JournalEntry {
    const added = { ...entry, sequence: ++this.#sequence };
    this.#entries.push(added);
    if (this.#entries.length > maxEntries) this.#entries = this.#entries.slice(maxEntries / 10);
    return added;
  }

  /** Called once when the answer has ended, successfully or not. */
  finish(entry: JournalEntry): void {
    entry.finishedAt = new Date();
    for (const waiter of this.#waiting) {
      if (!matches(entry, waiter.filter)) continue;
      this.#waiting.delete(waiter);
      waiter.resolve(entry);
    }
  }

  entries(filter: JournalFilter = {}): readonly JournalEntry[] {
    return this.#entries.filter((entry) => matches(entry, filter));
  }

  /** Resolves with the next matching request that is answered, so that a test need not sleep. */
  next(filter: JournalFilter = {}): Promise<JournalEntry> {
    const { promise, resolve } = Promise.withResolvers<JournalEntry>();
    this.#waiting.add({ filter, resolve });
    return promise;
  }

  clear(): void {
    this.#entries = [];
  }

  /** @returns answered entries, and forgets them: for long runs that keep their own summary. */
  takeFinished(): readonly JournalEntry[] {
    const { finished = [], running = [] } = Object.groupBy(this.#entries, ({ finishedAt }) =>
      finishedAt ? "finished" : "running",
    );
    this.#entries = running;
    return finished;
  }
}

function matches(entry: JournalEntry, filter: JournalFilter): boolean {
  if (filter.origin !== undefined && entry.origin !== filter.origin) return false;
  if (filter.method !== undefined && entry.method !== filter.method) return false;
  if (filter.status !== undefined && entry.status !== filter.status) return false;
  if (filter.after !== undefined && entry.sequence <= filter.after) return false;
  return filter.url === undefined || entry.url.includes(filter.url);
}
