// Harmful names, and a simulated run in which every name is harmful.

import type { Simulator } from "@actions-archive/github-simulator/simulator";

/** By kind: what an attacker may name something. */
export const hostileNames: Readonly<Record<string, string>> = {
  control: "bell \u0007 backspace \b\u0001\u007F",
  newline: 'first\n{"level":60,"msg":"forged"}\r\nsecond',
  direction: "\u202Egnp.exe \u2066isolated \u200Fmark",
  escape: "\u001B[2J\u001B]0;title\u0007\u001B[8mhidden",
  "single byte escape": "\u009B2J\u0090q\u009C",
  separators: "one\u2028two\u2029three\uFEFF",
  quote: "'; drop table archive.jobs; --",
  formula: "=cmd|' /C calc'!A0",
  path: "../../../../etc/passwd",
  long: "x".repeat(65_536),
  emoji: "🦀 👩‍👩‍👧‍👦 é",
  "lone surrogate": "\uD800 and \uDFFF",
  nul: "before\0after",
  metric: 'a"} 1\nforged{b="',
};

/** Adds a job whose every name is `name`, also in the lines of its log where the runner writes names. */
export function addHostileRun({ control, world }: Simulator, repository: string, name: string): number {
  const { runId, jobIds } = control.addRun({
    repository,
    jobs: [{ name: "build", conclusion: "failure" }],
    completedSecondsAgo: 600,
  });
  const [run, job] = [world.runs.get(runId), world.jobs.get(jobIds[0] ?? 0)];
  if (run === undefined || job === undefined) throw new Error("no such run");
  const person = { ...run.actor, login: name };
  // Writes into the world's objects directly: GitHub would refuse such names.
  Object.assign(run, {
    title: name,
    event: name,
    headBranch: name,
    actor: person,
    workflow: { ...run.workflow, name, path: name },
  });
  Object.assign(run.attempts[0] ?? {}, { triggeringActor: person });
  const time = new Date(job.completedAtMs ?? 0).toISOString();
  const [second] = time.split(".");
  const stamp = `${second}.0000000Z`;
  const steps = [1, 2].map((number) => ({
    name,
    number,
    status: "completed",
    conclusion: "failure",
    started_at: time,
    completed_at: time,
  }));
  Object.assign(job, {
    overrides: {
      name,
      workflow_name: name,
      head_branch: name,
      runner_name: name,
      runner_group_name: name,
      labels: [name, name],
      steps,
    },
  });
  const text = [
    "Current runner version: '2.300.0'",
    `Runner name: '${name}'`,
    `Download action repository 'octo-org/${name}@${name}' (SHA:1111111111111111111111111111111111111111)`,
    `##[group]Run ${name}`,
    "##[endgroup]",
    `##[error]c4n4ry ${name}`,
    "Cleaning up orphan processes",
  ].map((line) => `${stamp} ${line}\n`);
  control.setLog({ jobId: job.id, text: text.join("") });
  return job.id;
}
