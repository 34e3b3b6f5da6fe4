// The metrics of a process: one typed registry, every name and label in this file. docs/metrics.md describes each, and a test
// compares that page with what is served.

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

import corePackage from "../package.json" with { type: "json" };
import type { Logger } from "./logger.ts";

const prefix = "actions_archive_";
/** From a second to a day: a log is archived seconds after its job on a quiet day, and hours after an outage. */
const lagBuckets = [1, 5, 15, 30, 60, 120, 300, 900, 3_600, 6 * 3_600, 24 * 3_600];
const batchBuckets = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export type EngineName = "database" | "queue" | "store";

/** One reading of a gauge: its labels and its value. */
export type Reading = { readonly labels?: Readonly<Record<string, string>>; readonly value: number };

/** Gauges that are read when a scraper asks, by name without the prefix. */
export type Readings = Partial<Readonly<Record<StateGauge, readonly Reading[]>>>;

const stateGauges = {
  pending_logs: { help: "Logs that are owed and not archived yet.", labelNames: [] },
  oldest_pending_seconds: { help: "Age of the oldest pending log since its job completed.", labelNames: [] },
  expiring_logs: { help: "Pending and failed logs that GitHub removes within that time.", labelNames: ["within"] },
  gaps: { help: "Rows of audit.gaps by kind.", labelNames: ["kind"] },
  uncovered_seconds: { help: "Time of selected repositories that no window covers, all together.", labelNames: [] },
  queue_jobs: { help: "Jobs of the queue by state.", labelNames: ["queue", "state"] },
  github_budget_remaining_ratio: { help: "Requests left of GitHub's limit, of the credential that has least.", labelNames: [] },
  github_paused_seconds: { help: "For how long the longest pause of a credential still lasts; 0: none.", labelNames: [] },
  seal_age_seconds: { help: "Age of the newest seal; absent where nothing is sealed.", labelNames: [] },
  unsealed_objects: { help: "Objects that wait for the next seal.", labelNames: [] },
  scrub_mismatches: { help: "Objects found missing or changed and not repaired.", labelNames: [] },
  backfill_jobs_remaining: { help: "Pending logs of running backfills.", labelNames: [] },
  spool_bytes: { help: "Bytes reserved in the spool.", labelNames: [] },
  engine_up: { help: "Whether the engine answered when it was last asked: 1 or 0.", labelNames: ["engine"] },
} as const;
export type StateGauge = keyof typeof stateGauges;

/** Everything that a process measures. Counters start at 0 with the process. */
export class Metrics {
  readonly registry = new Registry();
  readonly jobsDiscovered = this.#counter("jobs_discovered_total", "Completed jobs written into the ledger.", ["source"]);
  readonly logs = this.#counter("logs_total", "Decisions about a log, by its new state and reason.", ["state", "reason"]);
  readonly logBytes = this.#counter("log_bytes_total", "Bytes of archived logs: raw as GitHub served them, and as stored.", [
    "kind",
  ]);
  readonly archiveLag = this.#histogram("archive_lag_seconds", "From a job's completion to its archived log.", lagBuckets);
  readonly loadLag = this.#histogram("load_lag_seconds", "From a record's archiving to its rows.", lagBuckets);
  readonly loaderBatch = this.#histogram("loader_batch_seconds", "Time of one batch of rows.", batchBuckets);
  readonly githubRequests = this.#counter("github_requests_total", "Requests to GitHub's API by class of answer.", ["class"]);
  readonly storeRequests = this.#counter("store_requests_total", "Calls of the store.", ["operation", "class"]);
  readonly scrubMismatches = this.#counter("scrub_mismatches_total", "Objects that a scrub found missing or changed.", []);
  readonly deletions = this.#counter("deletions_total", "Runs found deleted at GitHub.", []);
  readonly webhooks = this.#counter("webhooks_total", "Webhook deliveries by outcome.", ["outcome"]);
  readonly #log: Logger | undefined;
  readonly #sources: (() => Promise<Readings>)[] = [];
  readonly #gauges = new Map<StateGauge, Gauge>();
  #rendering: Promise<string> | undefined;

  constructor(log?: Logger) {
    this.#log = log;
    collectDefaultMetrics({ register: this.registry });
    // The keys of `stateGauges` are of this type; Object.keys widens them.
    for (const name of Object.keys(stateGauges) as StateGauge[]) {
      const { help, labelNames } = stateGauges[name];
      this.#gauges.set(name, new Gauge({ name: prefix + name, help, labelNames, registers: [this.registry] }));
    }
    const build = new Gauge({
      name: `${prefix}build_info`,
      help: "Always 1.",
      labelNames: ["version"],
      registers: [this.registry],
    });
    build.set({ version: corePackage.version }, 1);
    for (const counter of [this.scrubMismatches, this.deletions]) counter.inc(0);
  }

  /** Adds gauges that are read at each scrape. A source that throws is logged, and its gauges are absent from that scrape. */
  addSource(read: () => Promise<Readings>): void {
    this.#sources.push(read);
  }

  /** The exposition format of Prometheus. Never rejects. */
  render(): Promise<string> {
    // Two scrapes at once would reset each other's gauges.
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined;
    });
    return this.#rendering;
  }

  async #render(): Promise<string> {
    for (const [name, gauge] of this.#gauges) {
      gauge.reset();
      // `reset` leaves a gauge without labels at 0, which would claim that there is nothing; `remove` leaves it out.
      if (stateGauges[name].labelNames.length === 0) gauge.remove();
    }
    await Promise.all(this.#sources.map((read) => this.#readSource(read)));
    return this.registry.metrics();
  }

  async #readSource(read: () => Promise<Readings>): Promise<void> {
    try {
      const found = await read();
      for (const [name, gauge] of this.#gauges) for (const { labels = {}, value } of found[name] ?? []) gauge.set(labels, value);
    } catch (error) {
      this.#log?.debug({ err: error }, "metrics not read");
    }
  }

  #counter(name: string, help: string, labelNames: readonly string[]): Counter {
    return new Counter({ name: prefix + name, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: prefix + name, help, buckets, registers: [this.registry] });
  }
}
