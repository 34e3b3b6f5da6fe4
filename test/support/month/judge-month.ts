// Judges an archive that followed a month: every job, every log's bytes, every attempt, every row of audit.coverage and every
// gap, held against the simulator's truth. Reads the store with nothing of the project's own.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import type { Expected } from "@actions-archive/github-simulator/world/expected";
import type { Run } from "@actions-archive/github-simulator/world/model";
import { planSteps } from "@actions-archive/github-simulator/world/steps";
import type { Client } from "pg";

import { listFiles } from "../judge.ts";
import { judgeCoverage } from "./judge-coverage.ts";
import type { MonthJournal } from "./month-journal.ts";
import { type AttemptState, listTrueJobs, statesOf } from "./month-truth.ts";

export type JobRow = {
  job_id: number;
  run_id: number;
  repository_id: number;
  run_attempt: number;
  conclusion: string | null;
  log_state: string;
  log_reason: string | null;
  log_flags: string[];
  log_key: string | null;
  log_bytes: number | null;
  log_sha256: string | null;
  steps: number;
};

export type MonthVerdict = {
  /** Jobs that had to be found and have no row. */
  readonly missedJobs: readonly string[];
  /** Rows whose log ended otherwise than the truth. */
  readonly wrongStates: readonly string[];
  /** Rows of audit.coverage, attempts and gaps that are not as they must be. */
  readonly wrongCoverage: readonly string[];
  /** Twice in the store, or in it and not in the truth; logs that were downloaded more than once. */
  readonly doubled: readonly string[];
  readonly jobs: number;
  readonly archived: number;
  readonly medianLogBytes: number;
  readonly days: number;
  readonly completeDays: number;
  /** Attempts by state. */
  readonly attempts: Readonly<Record<string, number>>;
};

export type Judged = {
  readonly simulator: Simulator;
  readonly journal: MonthJournal;
  readonly client: Client;
  /** The root of the folder store. */
  readonly archive: string;
  readonly since: Date;
};

export async function judgeMonth(judged: Judged): Promise<MonthVerdict> {
  const { client, simulator, journal, archive } = judged;
  const { rows } = await client.query<JobRow>(
    `select job_id, run_id, repository_id, run_attempt, conclusion, log_state, log_reason, log_flags, log_key, log_bytes, log_sha256,
      (select count(*) from audit.steps where steps.job_id = jobs.job_id) as steps
    from audit.jobs`,
  );
  const byId = new Map(rows.map((row) => [row.job_id, row]));
  const missedJobs: string[] = [];
  const wrongStates: string[] = [];
  for (const { job, ends } of await listTrueJobs(simulator, journal)) {
    const row = byId.get(job.id);
    byId.delete(job.id);
    const name = `job ${job.id} of run ${job.run.id}, attempt ${job.attempt}`;
    if (row === undefined) {
      if (ends !== undefined) missedJobs.push(name);
      continue;
    }
    const found = JSON.stringify(endOf(row));
    if (ends === undefined) wrongStates.push(`${name} was never shown and has a row`);
    else if (!ends.some((end) => JSON.stringify(end) === found))
      wrongStates.push(`${name}: expected ${ends.map((end) => JSON.stringify(end)).join(" or ")}, found ${found}`);
    if (row.run_id !== job.run.id || row.repository_id !== job.run.repository.id || row.run_attempt !== job.attempt)
      wrongStates.push(`${name} stands under run ${row.run_id}, attempt ${row.run_attempt}`);
    const steps = job.stepShape.kind === "none" ? 0 : planSteps(job).length;
    if (row.conclusion !== job.conclusion || row.steps !== steps)
      wrongStates.push(`${name}: ${row.conclusion} with ${row.steps} steps, not ${job.conclusion} with ${steps}`);
  }
  for (const id of byId.keys()) wrongStates.push(`job ${id} has a row, and the truth no such completed job`);
  const attempts = await judgeAttempts(judged);
  const coverage = await judgeCoverage(judged, { rows, states: attempts.states });
  const sizes = rows.flatMap(({ log_bytes }) => (log_bytes === null ? [] : [log_bytes])).toSorted((a, b) => a - b);
  return {
    missedJobs,
    wrongStates: [...wrongStates, ...(await judgeBytes(archive, rows))],
    wrongCoverage: [...attempts.wrong, ...coverage.wrong],
    doubled: [...(await judgeStore(judged, rows, attempts.states)), ...judgeDownloads(journal, rows)],
    jobs: rows.length,
    archived: rows.filter(({ log_state }) => log_state === "archived").length,
    medianLogBytes: sizes[Math.floor(sizes.length / 2)] ?? 0,
    days: coverage.days,
    completeDays: coverage.completeDays,
    attempts: Object.fromEntries(
      [...Map.groupBy([...attempts.states.values()].flat(), (state) => state)].map(([state, all]) => [state, all.length]),
    ),
  };
}

function endOf({ log_state, log_reason, log_flags, log_bytes, log_sha256 }: JobRow): unknown {
  if (log_state !== "archived") return { state: log_state, reason: log_reason };
  return { state: log_state, rawSha256: log_sha256, rawBytes: log_bytes, flags: log_flags } satisfies Record<
    keyof Archived,
    unknown
  >;
}

type Archived = Extract<Expected, { state: "archived" }>;

type AttemptRow = { run_id: number; run_attempt: number; state: AttemptState };

/** The archive's attempts; where two states are right it tells which one came true. */
async function judgeAttempts({
  simulator,
  journal,
  client,
}: Judged): Promise<{ states: Map<number, AttemptState[]>; wrong: string[] }> {
  const { rows } = await client.query<AttemptRow>(
    "select run_id, run_attempt, state from archive.attempts order by run_id, run_attempt",
  );
  const states = new Map<number, AttemptState[]>();
  for (const { run_id, state } of rows) states.set(run_id, [...(states.get(run_id) ?? []), state]);
  const wrong: string[] = [];
  const known = new Set<number>();
  const judge = (run: Run) => {
    const wanted = statesOf(simulator, journal, run);
    const found = states.get(run.id);
    if (wanted === undefined && found === undefined) return;
    known.add(run.id);
    const isRight =
      wanted?.length === found?.length && wanted?.every((each, index) => each.some((one) => one === found?.[index]));
    if (!isRight) {
      const expected = wanted?.map((each) => each.join("|")).join(", ") ?? "nothing";
      wrong.push(
        `run ${run.id}${run.deleted ? " (deleted)" : ""}: attempts ${found?.join(", ") ?? "none"}, expected ${expected}`,
      );
    }
  };
  for (const run of simulator.world.runs.values()) judge(run);
  for (const id of states.keys()) if (!known.has(id)) wrong.push(`run ${id} is in the ledger, and the truth has no such run`);
  return { states, wrong };
}

async function judgeBytes(archive: string, rows: readonly JobRow[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const { job_id, log_state, log_key, log_sha256, log_bytes } of rows) {
    if (log_state !== "archived") continue;
    const raw = await readFile(join(archive, log_key ?? "")).then(zstdDecompressSync, () => undefined);
    const sha256 = raw && createHash("sha256").update(raw).digest("hex");
    if (raw === undefined || sha256 !== log_sha256 || raw.length !== log_bytes)
      wrong.push(`the log of job ${job_id} in the store is not the one of its row`);
  }
  return wrong;
}

// One record a job, one log an archived job, one run record a listed attempt; nothing else.
async function judgeStore(
  { archive }: Judged,
  rows: readonly JobRow[],
  states: ReadonlyMap<number, readonly AttemptState[]>,
): Promise<string[]> {
  const files = (await listFiles(archive)).filter((file) => !file.startsWith(".unfinished/") && !file.endsWith(".meta"));
  const count = (folder: string) => files.filter((file) => file.startsWith(`${folder}/`)).length;
  const listed = [...states.values()].flat().filter((state) => state === "listed").length;
  const settled = rows.filter(({ log_state }) => log_state === "archived" || log_state === "absent").length;
  const archived = rows.filter(({ log_state }) => log_state === "archived").length;
  const compare = (what: string, found: number, wanted: number) =>
    found === wanted ? [] : [`${found} ${what} in the store, not ${wanted}`];
  return [
    ...compare("records", count("records"), settled),
    ...compare("logs", count("logs"), archived),
    ...compare("run records", count("runs"), listed),
  ];
}

// A log that lacks its end is read twice; every other one is served once.
function judgeDownloads({ served }: MonthJournal, rows: readonly JobRow[]): string[] {
  return rows.flatMap(({ job_id, log_flags, log_state }) => {
    const times = served.get(job_id) ?? 0;
    const most = log_flags.includes("no_end_marker") || log_state !== "archived" ? 2 : 1;
    return times > most ? [`the log of job ${job_id} was downloaded ${times} times`] : [];
  });
}
