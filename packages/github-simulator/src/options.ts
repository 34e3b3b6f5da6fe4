// Options of the simulated GitHub: size, face, time, credentials. Every default suits a small test.

import type { KeyObject } from "node:crypto";

export type LogSizeOptions = {
  /** Bytes of the median ordinary log. Real job logs: 100 KB. */
  readonly medianBytes: number;
  /** This share of the logs … */
  readonly tailShareOfLogs: number;
  /** … holds this share of all bytes. At GitHub 0.6 % hold 60 %. */
  readonly tailShareOfBytes: number;
  /** No generated log is longer. */
  readonly capBytes: number;
};

export type WebhookOptions = {
  readonly url: string;
  readonly secret: string;
  readonly events?: readonly ("workflow_job" | "workflow_run")[];
  /** `owner/name` of the repositories with the hook; undefined: all. */
  readonly repositories?: readonly string[];
  readonly unreliable?: {
    /** Share of events without a delivery. */
    readonly lost: number;
    /** Share of deliveries that arrive twice. */
    readonly doubled: number;
    /** Number of concurrent, randomly chosen lanes, between which events overtake each other. */
    readonly lanes: number;
  };
};

export type RateLimitOptions = {
  /** Requests per hour and credential. Off on a GHES, as by default there. */
  readonly perHour: number;
  /** Requests per simulated minute and credential before the secondary limit answers; off by default, 900 at GitHub. */
  readonly perMinute?: number;
  /** Concurrent requests per credential before the secondary limit answers; 100 at GitHub. */
  readonly concurrent: number;
};

export type AppOptions = {
  readonly id: number;
  /** PEM or key; undefined: a key pair is generated, and the simulator exposes the private key. */
  readonly publicKey?: string | KeyObject;
  /** Owners with the App, and the repositories (names) that it may see; undefined: all of the owner's. */
  readonly installations?: readonly { readonly owner: string; readonly repositories?: readonly string[] }[];
  /** Lifetime of an installation token in simulated time: 3,600 at GitHub. */
  readonly tokenLifetimeSeconds?: number;
};

export type CredentialOptions = {
  readonly token: string;
  /** Its name in the journal; never the secret. */
  readonly id?: string;
  /** `owner/name` of the visible repositories; undefined: all. */
  readonly repositories?: readonly string[];
  /** Without it logs answer 403. */
  readonly canReadActions?: boolean;
};

export type SimulatorOptions = {
  readonly seed?: number;
  readonly face?: "github.com" | "ghes";
  readonly ghesVersion?: string;
  /**
   * `demo`: a small world with every possible final state; `month`: the month scenario, which begins with the clock. The sizes below apply to
   * neither.
   */
  readonly scenario?: "generated" | "demo" | "month" | "empty";
  /** Of the month: 1 is 40,000 runs. */
  readonly scale?: number;
  readonly owners?: number;
  readonly repositories?: number;
  readonly runsPerDay?: number;
  readonly days?: number;
  readonly jobsPerRun?: number;
  /** `all`: every kind of run that GitHub has; `plain`: successful matrix runs, for measurements. */
  readonly cases?: "all" | "plain";
  readonly logs?: Partial<LogSizeOptions>;
  /** New runs keep arriving while the clock runs. Otherwise history ends before the start. */
  readonly live?: boolean;
  readonly clockStart?: Date;
  readonly clockSpeed?: number;
  readonly ports?: { readonly api?: number; readonly log?: number; readonly control?: number };
  readonly linkLifetimeSeconds?: number;
  /** For so long after a job's completion its log answers BlobNotFound. */
  readonly logDelaySeconds?: number;
  readonly retentionDays?: number;
  /** Recorded job objects, runs and logs; see docs/simulator.md. */
  readonly replayDir?: string;
  /** Job objects as GitHub serves them, added to the world. */
  readonly extraJobs?: readonly Readonly<Record<string, unknown>>[];
  readonly webhook?: WebhookOptions;
  readonly rateLimits?: Partial<RateLimitOptions>;
  readonly app?: AppOptions;
  readonly credentials?: readonly CredentialOptions[];
};

export type Settings = {
  readonly seed: number;
  readonly face: "github.com" | "ghes";
  readonly ghesVersion: string;
  readonly scenario: "generated" | "demo" | "month" | "empty";
  readonly scale: number;
  readonly owners: number;
  readonly repositories: number;
  readonly runsPerDay: number;
  readonly days: number;
  readonly jobsPerRun: number;
  readonly cases: "all" | "plain";
  readonly logs: LogSizeOptions;
  readonly live: boolean;
  readonly linkLifetimeMs: number;
  readonly logDelayMs: number;
  readonly retentionDays: number;
  /** Undefined: no limits, as on a GHES. */
  readonly rateLimits: RateLimitOptions | undefined;
};

/** Applies the defaults. */
export function settle(options: SimulatorOptions): Settings {
  const face = options.face ?? "github.com";
  const limits = { perHour: 5_000, concurrent: 100, ...options.rateLimits };
  return {
    seed: options.seed ?? 1,
    face,
    ghesVersion: options.ghesVersion ?? "3.19.1",
    scenario: options.scenario ?? "generated",
    scale: options.scale ?? 1,
    owners: options.owners ?? 1,
    repositories: options.repositories ?? 2,
    runsPerDay: options.runsPerDay ?? 5,
    days: options.days ?? 2,
    jobsPerRun: options.jobsPerRun ?? 4,
    cases: options.cases ?? "all",
    logs: { medianBytes: 60_000, tailShareOfLogs: 0.006, tailShareOfBytes: 0.6, capBytes: 64 * 1024 * 1024, ...options.logs },
    live: options.live ?? false,
    linkLifetimeMs: (options.linkLifetimeSeconds ?? 60) * 1000,
    logDelayMs: (options.logDelaySeconds ?? 0) * 1000,
    retentionDays: options.retentionDays ?? 90,
    rateLimits: face === "ghes" && options.rateLimits === undefined ? undefined : limits,
  };
}
