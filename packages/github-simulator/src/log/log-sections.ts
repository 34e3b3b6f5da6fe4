// The runner's own lines of a log, step by step, around the job's output, which is filler from log-text.ts. The wording of the markers is
// that of public logs of 2022 to 2026.

import { createRandom, hexOf } from "../random.ts";
import type { Job } from "../world/model.ts";
import { actionSha, planSteps, type PlannedStep } from "../world/steps.ts";

/** One line. An `untimed` line has no timestamp: it continues a value of several lines. */
export type LogLine = { readonly text: string; readonly untimed?: boolean };

/** A part of a log: its lines, and the amount of the job's output between `head` and `tail`. */
export type LogSection = {
  /** GitHub's number of the step; null before the first step. */
  readonly step: number | null;
  readonly head: readonly LogLine[];
  readonly tail: readonly LogLine[];
  readonly fillerWeight: number;
  readonly startMs: number;
  readonly endMs: number;
};

const esc = "\u001b";

/** @returns the sections of a generated log, in order: a function of the job. */
export function logSections(job: Job): readonly LogSection[] {
  if (job.log.kind !== "generated") return [];
  const { style } = job.log;
  const steps = planSteps(job).filter((step) => step.conclusion !== "skipped");
  const sections = steps.flatMap((step) => sectionOf(job, step, steps));
  const waiting = style.waitingLines ? [waitingSection(job)] : [];
  return [...waiting, ...(style.endMarker ? sections : withoutEnd(sections))];
}

// The runner's last lines are missing and the log ends twenty seconds early, as after an interrupted upload.
function withoutEnd(sections: readonly LogSection[]): readonly LogSection[] {
  const start = sections[0]?.startMs ?? 0;
  const span = Math.max((sections.at(-1)?.endMs ?? start) - start, 1);
  const cut = start + Math.max(span - 20_000, span / 5);
  return sections
    .slice(0, -1)
    .filter(({ startMs }) => startMs < cut)
    .map((section) => ({ ...section, endMs: Math.min(section.endMs, cut) }));
}

function sectionOf(job: Job, step: PlannedStep, steps: readonly PlannedStep[]): LogSection {
  const window = { step: step.number, startMs: step.startedAtMs, endMs: step.completedAtMs };
  const spanMs = step.completedAtMs - step.startedAtMs;
  switch (step.kind) {
    case "set-up":
      return { ...window, head: setUpLines(job, steps), tail: [], fillerWeight: 0 };
    case "action":
      return { ...window, head: actionLines(job, step), tail: endingOf(job, step), fillerWeight: spanMs * 0.3 };
    case "script":
      return { ...window, head: scriptLines(job, step), tail: endingOf(job, step), fillerWeight: spanMs };
    case "post":
      return { ...window, head: postLines(step), tail: [], fillerWeight: 0 };
    case "complete":
      return { ...window, head: [{ text: "Cleaning up orphan processes" }], tail: [], fillerWeight: 0 };
  }
}

// These lines precede `started_at`: the job waited for a runner.
function waitingSection(job: Job): LogSection {
  const { run } = job;
  const start = job.startedAtMs ?? job.createdAtMs;
  const workflow = `${run.nameThen}/${run.workflow.path}@refs/heads/${run.headBranch}`;
  return {
    step: null,
    startMs: start - 9_000,
    endMs: start - 600,
    fillerWeight: 0,
    head: [
      `Requested labels: ${job.labels.join(", ")}`,
      `Job defined at: ${workflow}`,
      "Waiting for a runner to pick up this job...",
      "Job is waiting for a hosted runner to come online.",
      `Job is about to start running on the hosted runner: ${job.runner?.name} (hosted)`,
    ].map((text) => ({ text })),
    tail: [],
  };
}

function setUpLines(job: Job, steps: readonly PlannedStep[]): LogLine[] {
  const actions = [...new Set(steps.filter((step) => step.kind === "action").map((step) => step.runs))];
  return [
    "Current runner version: '2.329.0'",
    ...(job.labels.includes("self-hosted") ? selfHostedLines(job) : hostedLines(job)),
    "##[group]GITHUB_TOKEN Permissions",
    ...(job.run.event === "pull_request"
      ? ["Contents: read", "Metadata: read"]
      : ["Actions: read", "Contents: write", "Metadata: read", "PullRequests: read"]),
    "##[endgroup]",
    `Secret source: ${job.run.headRepository === job.run.repository ? "Actions" : "None"}`,
    "Prepare workflow directory",
    "Prepare all required actions",
    "Getting action download info",
    ...actions.map((action) => `Download action repository '${action}' (SHA:${actionSha(action)})`),
    `Complete job name: ${job.name}`,
  ].map((text) => ({ text }));
}

function hostedLines(job: Job): string[] {
  const image = job.labels[0] ?? "ubuntu-24.04";
  return [
    "##[group]Runner Image Provisioner",
    "Hosted Compute Agent",
    `Commit: ${hexOf(40, "provisioner")}`,
    "##[endgroup]",
    "##[group]Operating System",
    image,
    "LTS",
    "##[endgroup]",
    "##[group]Runner Image",
    `Image: ${image}`,
    "Version: 20261102.41.1",
    "##[endgroup]",
  ];
}

function selfHostedLines(job: Job): string[] {
  return [
    `Runner name: '${job.runner?.name}'`,
    `Runner group name: '${job.runner?.groupName}'`,
    `Machine name: 'build-${hexOf(6, job.seed, "machine")}'`,
  ];
}

function actionLines(job: Job, step: PlannedStep): LogLine[] {
  const { nameThen, headSha } = job.run;
  const opening = [`##[group]Run ${step.runs}`, "with:", `  repository: ${nameThen}`, "  token: ***", "##[endgroup]"];
  if (!step.runs.startsWith("actions/checkout")) {
    return [...opening, `Resolved ${step.runs} in the tool cache`, `${esc}[32m✓${esc}[0m ready in ${job.id % 900} ms`].map(
      (text) => ({ text }),
    );
  }
  return [
    ...opening,
    `Syncing repository: ${nameThen}`,
    "##[group]Getting Git version info",
    "[command]/usr/bin/git version",
    "git version 2.51.2",
    "##[endgroup]",
    "##[group]Fetching the repository",
    `[command]/usr/bin/git -c protocol.version=2 fetch --no-tags --prune --depth=1 origin +${headSha}`,
    "##[endgroup]",
    `HEAD is now at ${headSha.slice(0, 7)} ${job.run.title}`,
  ].map((text) => ({ text }));
}

function scriptLines(job: Job, step: PlannedStep): LogLine[] {
  if (job.log.kind !== "generated") return [];
  const { style } = job.log;
  const lines: LogLine[] = [
    `##[group]Run ${step.runs}`,
    `${esc}[36;1m${step.runs}${esc}[0m`,
    "shell: /usr/bin/bash -e {0}",
    "env:",
    "  CI: true",
    "##[endgroup]",
  ].map((text) => ({ text }));
  if (style.untimedLines)
    lines.push({ text: "RELEASE_NOTES=- first" }, { text: "- second", untimed: true }, { text: "", untimed: true });
  if (style.nul) lines.push({ text: "raw value: a\u0000b" });
  if (style.nestedGroups) {
    lines.push({ text: "##[group]Run ./tools/prepare.sh" }, { text: "shell: /usr/bin/bash -e {0}" }, { text: "##[endgroup]" });
    lines.push({ text: "Post job cleanup." });
  }
  if (style.longLine > 0) lines.push({ text: `bundle: ${"x".repeat(style.longLine)}` });
  if (createRandom(job.seed, step.number, "warning").chance(0.25)) {
    lines.push({ text: "##[warning]Node.js 20 actions are deprecated. Please update these actions to a newer version." });
  }
  return lines;
}

function endingOf(job: Job, step: PlannedStep): LogLine[] {
  if (step.conclusion === "failure") {
    const where = `src/module-${job.id % 17}.ts:${(job.id % 400) + 1}`;
    return [{ text: `FAIL ${where} expected 200, received 500` }, { text: "##[error]Process completed with exit code 1." }];
  }
  if (step.conclusion === "cancelled") return [{ text: "##[error]The operation was canceled." }];
  return step.kind === "script" ? [{ text: `Done: ${step.runs}` }] : [];
}

function postLines(step: PlannedStep): LogLine[] {
  return [
    { text: "Post job cleanup." },
    {
      text: step.runs.startsWith("actions/checkout")
        ? "[command]/usr/bin/git config --local --unset-all http.extraheader"
        : `Saved the state of ${step.runs}`,
    },
  ];
}
