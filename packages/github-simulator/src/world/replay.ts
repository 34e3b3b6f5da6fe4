// Loads a folder of recorded answers and logs. Layout: docs/simulator.md. Deliberately lenient about unsystematic recordings: any JSON is
// read for what it contains, and a log belongs to the job whose id is in its name.

import { createReadStream } from "node:fs";
import { glob, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";

import { z } from "zod";

import type { Builder } from "./builder.ts";
import { addRecordedJob, RecordedJob, RecordedRun } from "./recorded.ts";

export type Replayed = { readonly jobs: number; readonly runs: number; readonly logs: number };

/** Adds everything in `directory`. @throws Error when it contains neither a job object nor a log. */
export async function loadReplay(builder: Builder, directory: string): Promise<Replayed> {
  const jobs = new Map<number, RecordedJob>();
  const runs = new Map<number, RecordedRun>();
  for (const path of await find(directory, "**/*.json")) {
    for (const value of candidates(await tryReadJson(path))) {
      const job = RecordedJob.safeParse(value);
      const run = RecordedRun.safeParse(value);
      if (job.success && !jobs.has(job.data.id)) jobs.set(job.data.id, job.data);
      else if (run.success && !runs.has(run.data.id)) runs.set(run.data.id, run.data);
    }
  }
  const logs = new Map<number, string>();
  for (const path of await find(directory, "**/*.{log,txt}")) logs.set(freeId(logs, idIn(basename(path))), path);
  if (jobs.size + logs.size === 0) throw new Error(`${directory} holds no job objects (*.json) and no logs (*.log, *.txt)`);

  for (const [id, path] of logs) {
    const { size } = await stat(path);
    const job = jobs.get(id) ?? (await jobAround(id, path));
    const run = runs.get(job.run_id);
    addRecordedJob(builder, { job, log: { kind: "file", path, bytes: size }, ...(run === undefined ? {} : { run }) });
  }
  for (const job of jobs.values()) {
    const run = runs.get(job.run_id);
    const hasNoLog = logs.size > 0 || job.status !== "completed";
    addRecordedJob(builder, { job, ...(hasNoLog ? { log: { kind: "not-found" } } : {}), ...(run === undefined ? {} : { run }) });
  }
  return { jobs: jobs.size, runs: runs.size, logs: logs.size };
}

async function find(directory: string, pattern: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for await (const path of glob(pattern, { cwd: directory })) paths.push(join(directory, path));
  return paths.toSorted();
}

// Recordings are mixed with templates and other files named .json; unreadable ones are skipped.
async function tryReadJson(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// One object, a list of objects, or a page as served by the API.
function candidates(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  const page = z
    .object({ jobs: z.array(z.unknown()) })
    .or(z.object({ workflow_runs: z.array(z.unknown()) }))
    .safeParse(value);
  if (!page.success) return [value];
  return "jobs" in page.data ? page.data.jobs : page.data.workflow_runs;
}

/** The last long number of a file's name is the job's id. */
function idIn(name: string): number | undefined {
  const digits = name.match(/\d{6,15}/g)?.at(-1);
  return digits === undefined ? undefined : Number(digits);
}

function freeId(taken: ReadonlyMap<number, string>, wanted: number | undefined): number {
  let id = wanted ?? 990_000_000_001;
  while (taken.has(id)) id++;
  return id;
}

// A log without an object gets a job whose window is the log's own.
async function jobAround(id: number, path: string): Promise<RecordedJob> {
  const { first, last } = await windowOf(path);
  const api = "https://api.github.com/repos/replayed/logs";
  return {
    id,
    run_id: id,
    run_url: `${api}/actions/runs/${id}`,
    run_attempt: 1,
    node_id: `CR_${id}`,
    head_sha: "0".repeat(40),
    url: `${api}/actions/jobs/${id}`,
    html_url: null,
    status: "completed",
    conclusion: "success",
    created_at: first,
    started_at: first,
    completed_at: last,
    name: basename(path),
    steps: [],
    check_run_url: `${api}/check-runs/${id}`,
    labels: ["ubuntu-latest"],
    runner_id: 1,
    runner_name: "replayed",
    runner_group_id: null,
    runner_group_name: null,
    workflow_name: "CI",
    head_branch: "main",
  };
}

async function windowOf(path: string): Promise<{ first: string; last: string }> {
  let [first, last] = ["", ""];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    const time = /^\uFEFF?(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\.\d+Z/.exec(line)?.[1];
    if (time === undefined) continue;
    first ||= `${time}Z`;
    last = `${time}Z`;
  }
  const epoch = "2020-01-01T00:00:00Z";
  return { first: first || epoch, last: last || epoch };
}
