// The calls of a pass, from the simulator's journal, with labels in place of ids, so that a call can be identified in another simulator
// with the same world.

import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import type { Simulator } from "@actions-archive/github-simulator/simulator";

import { type Labels, repository, type SmallWorld } from "./world.ts";

export const routes = [
  "repository",
  "retention",
  "run list",
  "run",
  "attempt",
  "job list",
  "job",
  "log link",
  "log body",
] as const;
export type Route = (typeof routes)[number];

/** One request, identified as the n-th request for its path. */
export type Call = {
  readonly route: Route;
  /** With `{label}` in place of ids. */
  readonly path: string;
  /** Counts from 1. */
  readonly occurrence: number;
  /** Number of jobs in a job list; undefined for other routes. */
  readonly items?: number | undefined;
};

const apiRoutes: readonly (readonly [Route, RegExp])[] = [
  ["log link", /\/actions\/jobs\/[^/]+\/logs$/],
  ["job", /\/actions\/jobs\/[^/]+$/],
  ["job list", /\/jobs$/],
  ["attempt", /\/attempts\/\d+$/],
  ["run", /\/actions\/runs\/[^/]+$/],
  ["run list", /\/actions\/runs$/],
  ["retention", /\/artifact-and-log-retention$/],
  ["repository", /^\/(?:repos\/[^/]+\/[^/]+|repositories\/[^/]+)$/],
];

/** @returns every GET of the journal, in order. @throws for an unknown route, since the test would miss that kind of call. */
export function callsOf({ simulator, labels, repositoryId }: SmallWorld): Call[] {
  const counts = new Map<string, number>();
  return simulator.journal.entries({ method: "GET" }).flatMap((entry) => {
    if (entry.origin === "control") return [];
    const path = labelled(entry, labels, repositoryId);
    const occurrence = (counts.get(path) ?? 0) + 1;
    counts.set(path, occurrence);
    const route = entry.origin === "log" ? "log body" : apiRoutes.find(([, pattern]) => pattern.test(path))?.[0];
    if (route === undefined) throw new Error(`a call of no known route: ${path}`);
    return [{ route, path, occurrence, items: route === "job list" ? countJobs(entry.url, simulator) : undefined }];
  });
}

function countJobs(url: string, { world }: Simulator): number | undefined {
  const [, runId, attempt] = /\/runs\/(\d+)\/attempts\/(\d+)\/jobs/.exec(url) ?? [];
  return world.runs.get(Number(runId))?.attempts[Number(attempt) - 1]?.jobs.length;
}

/** @returns one line that identifies the call, to reproduce a scenario. */
export function describeCall({ route, path, occurrence }: Call): string {
  return `${route} ${path} #${occurrence}`;
}

/** @returns the path of a fault that matches the call in this world. */
export function faultPathOf({ path }: Pick<Call, "path">, { labels, repositoryId }: SmallWorld): string {
  return path.replaceAll(/\{([^}]+)\}/g, (_all, label: string) => {
    if (label === "id") return String(repositoryId);
    const runId = idOf(labels.runs, label);
    if (runId !== undefined) return String(runId);
    const jobId = idOf(labels.jobs, label);
    if (jobId === undefined) throw new RangeError(`nothing is labelled ${label}`);
    return path.startsWith("*-") ? hexOf(jobId) : String(jobId);
  });
}

/** @returns paths of faults that match every request of a route in this world. */
export function faultPathsOf(route: Route, world: SmallWorld): string[] {
  const { labels, repositoryId, simulator } = world;
  const base = `/repos/${repository}/actions`;
  const attempts = (runId: number) => simulator.world.runs.get(runId)?.attempts ?? [];
  switch (route) {
    case "repository":
      return [`/repos/${repository}`, `/repositories/${repositoryId}`];
    case "retention":
      return ["*/artifact-and-log-retention"];
    case "run list":
      return [`${base}/runs`];
    case "run":
      return [...labels.runs.keys()].map((id) => `${base}/runs/${id}`);
    case "attempt":
      return [...labels.runs.keys()].flatMap((id) => attempts(id).map(({ number }) => `${base}/runs/${id}/attempts/${number}`));
    case "job list":
      return ["*/jobs"];
    case "job":
      return [...labels.jobs.keys()].map((id) => `${base}/jobs/${id}`);
    case "log link":
      return [`${base}/jobs/*/logs`];
    case "log body":
      return ["*"];
  }
}

function labelled({ origin, url }: JournalEntry, { runs, jobs }: Labels, repositoryId: number): string {
  const path = url.split("?")[0] ?? "";
  if (origin === "log") {
    const hex = /-([0-9a-f]{12}\/logs\/.*)$/.exec(path)?.[1] ?? "";
    return `*-{${jobs.get(Number.parseInt(hex.slice(0, 12), 16)) ?? "unknown"}}${hex.slice(12)}`;
  }
  return path
    .replace(/^\/repositories\/\d+/, (part) => part.replace(String(repositoryId), "{id}"))
    .replace(/(?<=\/runs\/)\d+/, (id) => `{${runs.get(Number(id)) ?? id}}`)
    .replace(/(?<=\/jobs\/)\d+/, (id) => `{${jobs.get(Number(id)) ?? id}}`);
}

function idOf(labels: ReadonlyMap<number, string>, wanted: string): number | undefined {
  return [...labels].find(([, label]) => label === wanted)?.[0];
}

function hexOf(jobId: number): string {
  return jobId.toString(16).padStart(12, "0");
}
