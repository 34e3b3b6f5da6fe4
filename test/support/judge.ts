// Judges an archive: the auditor's views and the objects of a folder store, held against what the simulated GitHub knows to be
// right. Reads the objects with nothing of the project's own.

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { zstdDecompressSync } from "node:zlib";

import type { Simulator } from "@actions-archive/github-simulator/simulator";
import type { JobSummary } from "@actions-archive/github-simulator/world/summary";
import { z } from "zod";

import { type ProgramOptions, runCli } from "./processes.ts";
import { simulatedHost } from "./workspace.ts";

const Time = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .nullable();
const JobRow = z.object({
  job_id: z.int(),
  repository_id: z.int(),
  run_id: z.int(),
  run_attempt: z.int(),
  log_state: z.string(),
  log_reason: z.string().nullable(),
  log_flags: z.array(z.string()),
  log_key: z.string().nullable(),
  log_bytes: z.int().nullable(),
  log_sha256: z.string().nullable(),
});
const StepRow = z.object({
  job_id: z.int(),
  step_number: z.int(),
  step_name: z.string().nullable(),
  conclusion: z.string().nullable(),
  started_at: Time,
  completed_at: Time,
  first_line: z.int().nullable(),
  line_count: z.int().nullable(),
});
const Views = z.tuple([z.object({ jobs: z.array(JobRow), steps: z.array(StepRow) })]);
type Views = z.output<typeof Views>[0];
type JobRow = z.output<typeof JobRow>;
type StepRow = z.output<typeof StepRow>;

const ServedJob = z.object({
  steps: z
    .array(
      z.object({
        number: z.int(),
        name: z.string(),
        conclusion: z.string().nullish(),
        started_at: Time.optional(),
        completed_at: Time.optional(),
      }),
    )
    .nullish(),
});

export type Verdict = {
  /** One line for each thing that is not as it must be. */
  readonly wrong: readonly string[];
  readonly jobs: number;
  readonly archived: number;
};

/** `sql --json` as an operator would ask. @throws with what the program said when it does not end with 0. */
export async function askSql(query: string, options: ProgramOptions): Promise<unknown> {
  const { code, stdout, stderr } = await runCli(["sql", "--json", query], options);
  if (code !== 0) throw new Error(`sql ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/**
 * Compares every job, step, object and record with the simulator's truth.
 * @param archive the root of the folder store
 * @param options lead `sql` to the archive's database
 */
export async function judgeArchive(simulator: Simulator, archive: string, options: ProgramOptions): Promise<Verdict> {
  const query = `select (select coalesce(json_agg(j), '[]') from jobs j) as jobs, (select coalesce(json_agg(s), '[]') from steps s) as steps`;
  const [views] = Views.parse(await askSql(query, options));
  const { jobs } = await simulator.control.world({});
  const completed = jobs.filter(({ expected }) => expected !== undefined);
  const files = await listFiles(archive);
  return {
    wrong: [
      ...judgeJobs(completed, views),
      ...(await judgeSteps(simulator, completed, views)),
      ...judgeStepLines(completed, views),
      ...judgeFiles(completed, views, files),
      ...(await judgeObjects(archive, views.jobs, files)),
    ],
    jobs: views.jobs.length,
    archived: views.jobs.filter(({ log_state }) => log_state === "archived").length,
  };
}

function judgeJobs(completed: readonly JobSummary[], { jobs }: Views): string[] {
  const wrong: string[] = [];
  const rows = Map.groupBy(jobs, ({ job_id }) => job_id);
  for (const { jobId, runId, repositoryId, attempt, expected } of completed) {
    const [row, ...others] = rows.get(jobId) ?? [];
    rows.delete(jobId);
    if (others.length > 0) wrong.push(`job ${jobId} has ${others.length + 1} rows`);
    const found = row && {
      state: row.log_state,
      ...(row.log_state === "archived"
        ? { rawSha256: row.log_sha256, rawBytes: row.log_bytes, flags: row.log_flags.filter((flag) => flag !== "adopted") }
        : { reason: row.log_reason }),
    };
    // The simulator knows a log's own doubts; that a crash left it without a record is no fault of the log.
    if (JSON.stringify(found) !== JSON.stringify(expected))
      wrong.push(`job ${jobId}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
    if (row && (row.run_id !== runId || row.repository_id !== repositoryId || row.run_attempt !== attempt))
      wrong.push(`job ${jobId} stands under run ${row.run_id}, attempt ${row.run_attempt}, not ${runId}, ${attempt}`);
  }
  for (const id of rows.keys()) wrong.push(`job ${id} has a row, and the simulator no such completed job`);
  return wrong;
}

// Every line of a generated log has a step that the simulator knows.
function judgeStepLines(completed: readonly JobSummary[], { jobs, steps }: Views): string[] {
  const archived = new Set(jobs.filter(({ log_state }) => log_state === "archived").map(({ job_id }) => job_id));
  const rows = Map.groupBy(steps, ({ job_id }) => job_id);
  return completed.flatMap(({ jobId, stepLines }) => {
    const found = (rows.get(jobId) ?? []).toSorted((a, b) => a.step_number - b.step_number);
    // GitHub lists no steps of some jobs.
    if (stepLines === undefined || !archived.has(jobId) || found.length === 0) return [];
    const spoken = found.flatMap(({ step_number, first_line, line_count }) =>
      first_line === null ? [] : [{ step_number, first_line, line_count }],
    );
    return JSON.stringify(spoken) === JSON.stringify(stepLines)
      ? []
      : [`lines of job ${jobId}: expected ${JSON.stringify(stepLines)}, found ${JSON.stringify(spoken)}`];
  });
}

async function judgeSteps(simulator: Simulator, completed: readonly JobSummary[], { steps }: Views): Promise<string[]> {
  const wrong: string[] = [];
  const rows = Map.groupBy(steps, ({ job_id }) => job_id);
  const headers = { authorization: `Bearer ${simulator.token}`, "user-agent": "judge" };
  for (const { jobId, repository } of completed) {
    const response = await fetch(`${simulator.apiUrl}/repos/${repository}/actions/jobs/${jobId}`, { headers });
    const served = ServedJob.parse(await response.json()).steps ?? [];
    const expected = served.map((step) => ({
      step_number: step.number,
      step_name: step.name,
      conclusion: step.conclusion ?? null,
      started_at: step.started_at ?? null,
      completed_at: step.completed_at ?? null,
    }));
    const found = (rows.get(jobId) ?? [])
      .map(({ step_number, step_name, conclusion, started_at, completed_at }: StepRow) => ({
        step_number,
        step_name,
        conclusion,
        started_at,
        completed_at,
      }))
      .toSorted((a, b) => a.step_number - b.step_number);
    if (JSON.stringify(found) !== JSON.stringify(expected))
      wrong.push(`steps of job ${jobId}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
  }
  return wrong;
}

// One record per job, one log per archived job, one run record per attempt, and no other name in the store.
function judgeFiles(completed: readonly JobSummary[], { jobs }: Views, files: readonly string[]): string[] {
  const folder = ({ repository_id, run_id }: JobRow) => `${simulatedHost}/${repository_id}/${run_id}`;
  const settled = jobs.filter(({ log_state }) => log_state === "archived" || log_state === "absent");
  const wanted = new Set([
    "archive.json",
    ...settled.map((job) => `records/${folder(job)}/${job.job_id}.json`),
    ...jobs.flatMap((job) => (job.log_state === "archived" ? [`logs/${folder(job)}/${job.job_id}.log.zst`] : [])),
    ...completed.map(({ repositoryId, runId, attempt }) => `runs/${simulatedHost}/${repositoryId}/${runId}/${attempt}.json`),
  ]);
  // How many seals there are is a matter of time and of crashes; that they are numbered without a hole is not.
  const seals = files.filter((file) => file.startsWith("seals/"));
  for (const index of seals.keys()) wanted.add(`seals/${String(index + 1).padStart(12, "0")}.json`);
  const found = new Set(files.filter((file) => !file.startsWith(".unfinished/") && !isSidecar(file)));
  // An attempt without a completed job of its own has a run record too.
  const isExtra = (file: string) => !wanted.has(file) && !file.startsWith("runs/");
  return [
    ...[...wanted].filter((file) => !found.has(file)).map((file) => `${file} is not in the store`),
    ...[...found].filter(isExtra).map((file) => `${file} should not be in the store`),
  ];
}

// Every log decodes to the bytes of its row, and its one sidecar, which holds the object's metadata, is that of its stored bytes.
async function judgeObjects(archive: string, jobs: readonly JobRow[], files: readonly string[]): Promise<string[]> {
  const wrong: string[] = [];
  const sidecars = new Set(files.filter(isSidecar));
  for (const { job_id, log_state, log_key, log_sha256, log_bytes } of jobs) {
    if (log_state !== "archived" || log_key === null) continue;
    try {
      const stored = await readFile(join(archive, log_key));
      const sidecar = `${dirname(log_key)}/.${basename(log_key)}.${sha256Of(stored)}.meta`;
      if (!sidecars.delete(sidecar)) wrong.push(`${sidecar} is not in the store`);
      const raw = zstdDecompressSync(stored);
      if (sha256Of(raw) !== log_sha256 || raw.length !== log_bytes)
        wrong.push(
          `${log_key} holds ${raw.length} bytes with SHA-256 ${sha256Of(raw)}, its row says ${log_bytes} and ${log_sha256}`,
        );
    } catch (error) {
      wrong.push(`${log_key} of job ${job_id} cannot be read: ${String(error)}`);
    }
  }
  return [...wrong, ...[...sidecars].map((file) => `${file} should not be in the store`)];
}

function isSidecar(file: string): boolean {
  return basename(file).startsWith(".") && file.endsWith(".meta");
}

function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Relative to `folder`, with slashes; nothing for a folder that is not there. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}
