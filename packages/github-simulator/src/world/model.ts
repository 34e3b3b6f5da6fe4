// The model of the simulated GitHub. A job's whole course is fixed from the start; what the API shows of it depends on the clock, so that
// runs begin and end while the simulator serves.
export type Owner = { readonly id: number; readonly login: string; readonly type: "Organization" | "User" };

export type Workflow = { readonly id: number; readonly name: string; readonly path: string };

/** The format of step times: `zone` minutes give `.000+hh:mm`, like the token owner's zone at GitHub. */
export type StepTimes = { readonly form: "milliseconds" | "plain" } | { readonly form: "zone"; readonly minutes: number };

export type Repository = {
  readonly id: number;
  owner: Owner;
  name: string;
  private: boolean;
  readonly createdAtMs: number;
  readonly defaultBranch: string;
  readonly workflows: readonly Workflow[];
  readonly stepTimes: StepTimes;
  /** The answer of the retention endpoint, and the age at which logs answer 410. */
  retentionDays: number;
  /** Answers 404 to every client: deleted, or no longer visible. */
  hidden: boolean;
  /** Ascending by `listedAsMs`, or `createdAtMs` without one. */
  readonly runs: Run[];
  /** Set once a run has a `listedAsMs`. The order of `runs` then differs from that of `createdAtMs`. */
  hasRunsOutOfOrder?: boolean;
};

export type Run = {
  readonly id: number;
  readonly repository: Repository;
  /** `owner/name` when it ran, which its logs contain also after a rename. */
  readonly nameThen: string;
  readonly number: number;
  readonly workflow: Workflow;
  readonly event: string;
  readonly title: string;
  readonly actor: Owner;
  readonly headBranch: string | null;
  readonly headSha: string;
  /** The repository of the commit; null when that fork is deleted. */
  readonly headRepository: Repository | null;
  readonly referencedWorkflows: readonly { readonly path: string; readonly sha: string; readonly ref?: string }[];
  readonly createdAtMs: number;
  /** The creation time that decides its place in lists; `created_at` is not affected. */
  readonly listedAsMs?: number;
  /** Lists leave the run out until then; it can be read by its id earlier. */
  readonly listedFromMs?: number;
  /** Its own retention, since changes of GitHub's setting are not retroactive. */
  readonly retentionDays?: number;
  /** Conclusion of a run that has no jobs. */
  readonly emptyConclusion?: "action_required" | "startup_failure";
  readonly attempts: Attempt[];
  deleted: boolean;
  /** Deleted right after a page of a list that is not the last showed it, once it has completed. */
  deletedOncePaged?: boolean;
  logsDeleted: boolean;
  /** A replayed run as GitHub served it. */
  readonly recorded?: Readonly<Record<string, unknown>>;
};

export type Attempt = {
  readonly number: number;
  readonly createdAtMs: number;
  readonly triggeringActor: Owner;
  readonly jobs: Job[];
};

export type Conclusion =
  | "success"
  | "failure"
  | "neutral"
  | "cancelled"
  | "skipped"
  | "timed_out"
  | "action_required"
  | "stale"
  | "startup_failure";

export type Runner = {
  readonly id: number | null;
  readonly name: string | null;
  readonly groupId: number | null;
  readonly groupName: string | null;
};

/** A run can show "completed" before its last job does (actions/runner#4035). */
export type JobLag = {
  readonly ms: number;
  /** Until then the job is shown in progress, or missing from all answers. */
  readonly shows: "in_progress" | "missing";
};

export type Job = {
  readonly id: number;
  readonly run: Run;
  /** The attempt that ran it, which is the first that lists it. */
  readonly attempt: number;
  readonly name: string;
  readonly seed: string;
  readonly createdAtMs: number;
  startedAtMs: number | null;
  /** Null: it never ends by itself. */
  completedAtMs: number | null;
  conclusion: Conclusion | null;
  /** After the last job of its attempt completes, the API shows the job as completed only after this delay. */
  lag?: JobLag;
  readonly labels: readonly string[];
  readonly runner: Runner | null;
  readonly stepShape: StepShape;
  /** The same work in an earlier attempt, listed again under this new id. */
  readonly copyOf?: Job;
  log: Log;
  /** A replayed job as GitHub served it. */
  readonly recorded?: Readonly<Record<string, unknown>>;
  /** Fields that the API shows instead of the usual ones; undefined leaves a field out. */
  readonly overrides?: Readonly<Record<string, unknown>>;
};

export type StepShape = {
  /** `none`: GitHub lists no steps although the job ran. */
  readonly kind: "full" | "none";
  /** The name of the main step, which decides the job's conclusion; may be the first line of a script. */
  readonly mainName: string;
  /** The post step of checkout ends 2 s before it starts, as recorded at GitHub. */
  readonly endsBeforeStart?: boolean;
};

/** Oddities of a log's text, each observed in real ones. */
export type LogStyle = {
  readonly bom: boolean;
  readonly crlf: boolean;
  readonly nul: boolean;
  readonly untimedLines: boolean;
  readonly finalNewline: boolean;
  readonly waitingLines: boolean;
  readonly endMarker: boolean;
  /** One line of this many characters. */
  readonly longLine: number;
  /** A composite action prints `##[group]Run` inside a step. */
  readonly nestedGroups: boolean;
};

/** What the log endpoint answers for a job. */
export type Log =
  | { readonly kind: "generated"; readonly bytes: number; readonly style: LogStyle }
  | { readonly kind: "file"; readonly path: string; readonly bytes: number }
  | { readonly kind: "text"; readonly content: Buffer }
  /** 404 in JSON: it never ran, or the log was deleted. */
  | { readonly kind: "not-found" }
  /** 410: retention. */
  | { readonly kind: "expired" }
  /** 302, then the blob store answers 404 BlobNotFound. */
  | { readonly kind: "blob-missing" }
  /** GitHub serves the log of another job of the run: observed in 2024 for older attempts. */
  | { readonly kind: "of-job"; readonly job: Job };
