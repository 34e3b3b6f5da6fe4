// The steps of a job, derived from its seed and its window: names, numbers with GitHub's gaps, times to the millisecond. The API and the log
// text use the same plan, so that they agree as they do at GitHub.

import { z } from "zod";

import { createRandom, hexOf } from "../random.ts";
import type { Conclusion, Job } from "./model.ts";

export type PlannedStep = {
  readonly number: number;
  readonly name: string;
  readonly kind: "set-up" | "action" | "script" | "post" | "complete";
  /** `owner/name@ref` of an action, or the first line of a script. */
  readonly runs: string;
  readonly conclusion: "success" | "failure" | "skipped" | "cancelled";
  readonly startedAtMs: number;
  readonly completedAtMs: number;
};

const toolchains = [
  { name: "Set up Node.js", action: "actions/setup-node@v4", install: "npm ci", main: "npm test" },
  { name: "Set up Python", action: "actions/setup-python@v5", install: "pip install -r requirements.txt", main: "pytest -q" },
  { name: "Set up Go", action: "actions/setup-go@v5", install: "go mod download", main: "go test ./..." },
  { name: "Set up JDK 21", action: "actions/setup-java@v4", install: "mvn -B dependency:go-offline", main: "mvn -B verify" },
  { name: "Install Rust", action: "dtolnay/rust-toolchain@stable", install: "cargo fetch", main: "cargo test --locked" },
] as const;

/** @returns the commit of an action's ref: one SHA per action in the whole world. */
export function actionSha(action: string): string {
  return hexOf(40, "action", action);
}

/** @returns the plan of a job that ran; empty for one without a runner. A job without an end is planned for ten minutes. */
export function planSteps(job: Job): readonly PlannedStep[] {
  if (job.runner === null || job.startedAtMs === null) return [];
  const recorded = recordedSteps(job);
  if (recorded.length > 0) return recorded;
  const random = createRandom(job.seed, "steps");
  const toolchain = random.pick(toolchains);
  const mains = mainSteps(job, toolchain, random.chance(0.4), random.chance(0.3));
  const broken = job.conclusion === "success" || job.conclusion === null ? -1 : random.int(3, mains.length - 1);
  const start = job.startedAtMs;
  const end = Math.max(job.completedAtMs ?? start + 600_000, start);
  const posts = mains.filter((step) => step.hasPost).toReversed();
  const firstPost = mains.length + 1 + random.int(0, 5);
  // What follows the work takes seconds, even when the work took days.
  const short = Math.min(1, 3_600_000 / Math.max(end - start, 1));
  const weights = [2, ...mains.slice(1).map((step) => step.weight), ...posts.map(() => short), 0.5 * short];
  const windows = splitWindow(start, end, weights, (index) => broken >= 0 && index > broken && index < mains.length);
  const planned: PlannedStep[] = mains.map((step, index) => ({
    number: index + 1,
    name: step.name,
    kind: step.kind,
    runs: step.runs,
    conclusion: broken < 0 || index < broken ? "success" : index > broken ? "skipped" : brokenConclusion(job.conclusion),
    ...windowAt(windows, index),
  }));
  posts.forEach((step, index) =>
    planned.push({
      number: firstPost + index,
      name: `Post ${step.name}`,
      kind: "post",
      runs: step.runs,
      conclusion: "success",
      ...windowAt(windows, mains.length + index),
    }),
  );
  planned.push({
    number: firstPost + posts.length,
    name: "Complete job",
    kind: "complete",
    runs: "",
    conclusion: "success",
    ...windowAt(windows, mains.length + posts.length),
  });
  return planned;
}

const RecordedSteps = z.array(
  z.object({
    number: z.int(),
    name: z.string(),
    conclusion: z.enum(["success", "failure", "skipped", "cancelled"]),
    started_at: z.string(),
    completed_at: z.string(),
  }),
);

// A text is generated for a recorded job without a log. It must contain the steps that the job object lists.
function recordedSteps(job: Job): PlannedStep[] {
  const { data = [] } = RecordedSteps.safeParse(job.recorded?.["steps"]);
  return data.map(({ number, name, conclusion, started_at, completed_at }) => ({
    number,
    name,
    kind: recordedKind(name),
    runs: /^(?:Run |Post (?:Run )?)(\S+@\S+)$/.exec(name)?.[1] ?? `./${name.toLowerCase().replaceAll(/\W+/g, "-")}.sh`,
    conclusion,
    startedAtMs: Date.parse(started_at),
    completedAtMs: Math.max(Date.parse(started_at), Date.parse(completed_at)),
  }));
}

function recordedKind(name: string): PlannedStep["kind"] {
  if (name === "Set up job") return "set-up";
  if (name === "Complete job") return "complete";
  if (name.startsWith("Post ")) return "post";
  return /^Run \S+@\S+$/.test(name) ? "action" : "script";
}

type MainStep = {
  readonly name: string;
  readonly kind: "set-up" | "action" | "script";
  readonly runs: string;
  readonly weight: number;
  readonly hasPost: boolean;
};

function mainSteps(job: Job, toolchain: (typeof toolchains)[number], hasCache: boolean, hasUpload: boolean): readonly MainStep[] {
  const cache = { name: "Run actions/cache@v4", kind: "action", runs: "actions/cache@v4", weight: 2, hasPost: true } as const;
  const upload = {
    name: "Upload coverage",
    kind: "action",
    runs: "actions/upload-artifact@v4",
    weight: 1,
    hasPost: false,
  } as const;
  return [
    { name: "Set up job", kind: "set-up", runs: "", weight: 2, hasPost: false },
    { name: "Run actions/checkout@v4", kind: "action", runs: "actions/checkout@v4", weight: 2, hasPost: true },
    { name: toolchain.name, kind: "action", runs: toolchain.action, weight: 2, hasPost: toolchain.action.startsWith("actions/") },
    ...(hasCache ? [cache] : []),
    { name: `Run ${toolchain.install}`, kind: "script", runs: toolchain.install, weight: 5, hasPost: false },
    { name: job.stepShape.mainName || `Run ${toolchain.main}`, kind: "script", runs: toolchain.main, weight: 20, hasPost: false },
    ...(hasUpload ? [upload] : []),
  ];
}

function brokenConclusion(conclusion: Conclusion | null): "failure" | "cancelled" {
  return conclusion === "cancelled" || conclusion === "timed_out" ? "cancelled" : "failure";
}

type Window = { readonly startedAtMs: number; readonly completedAtMs: number };

// Skipped steps take no time, so the others share the job's whole window.
function splitWindow(start: number, end: number, weights: readonly number[], isSkipped: (index: number) => boolean): Window[] {
  const effective = weights.map((weight, index) => (isSkipped(index) ? 0 : weight));
  const total = effective.reduce((sum, weight) => sum + weight, 0);
  let at = start;
  return effective.map((weight) => {
    const from = at;
    at += ((end - start) * weight) / total;
    return { startedAtMs: from, completedAtMs: at };
  });
}

function windowAt(windows: readonly Window[], index: number): Window {
  const window = windows[index];
  if (window === undefined) throw new RangeError(`no window for step ${index}`);
  return window;
}
