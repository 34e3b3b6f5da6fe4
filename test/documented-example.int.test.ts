// The job of GitHub's REST reference, from the API to the views: https://docs.github.com/rest/actions/workflow-jobs

import { createHash } from "node:crypto";

import { generatedStepLines } from "@actions-archive/github-simulator/log/log-text";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { documentedExample } from "@actions-archive/github-simulator/world/documented-example";
import { expect, test } from "vitest";

import { askSql } from "./support/ask-sql.ts";
import { runCli } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const stepTimes = [
  [1, "Set up job", "17:42:40", "17:42:41", 1],
  [2, "Run actions/checkout@v2", "17:42:41", "17:42:45", 4],
  [3, "Set up Ruby", "17:42:45", "17:42:45", 0],
  [4, "Run actions/cache@v3", "17:42:45", "17:42:48", 3],
  [5, "Install Bundler", "17:42:48", "17:42:52", 4],
  [6, "Install Gems", "17:42:52", "17:42:53", 1],
  [7, "Run Tests", "17:42:53", "17:42:59", 6],
  [8, "Deploy to Heroku", "17:42:59", "17:44:39", 100],
  [16, "Post actions/cache@v3", "17:44:39", "17:44:39", 0],
] as const;

test("the documented job arrives in the views with every value and every timestamp right", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({
    scenario: "empty",
    extraJobs: [documentedExample({ lastStep: 16 })],
    rateLimits: { perHour: 100_000 },
  });
  const settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)), ARCHIVE_SINCE: "2020-01-01" };
  const options = { cwd: workspace.folder, settings };

  const { code, stdout, stderr } = await runCli(["start", "--once", "--json"], options);
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    complete: true,
    counts: { jobs: 1, archived: 1, absent: 0, failed: 0, pending: 0 },
    owed: [],
  });

  const logs = await runCli(["logs", "399444496", "--raw"], options);
  expect(logs.code).toBe(0);
  const job = simulator.world.jobs.get(399444496);
  const lines = new Map(job && generatedStepLines(job).map(({ step_number, ...place }) => [step_number, place]));
  expect([...lines.keys()]).toEqual(stepTimes.map(([number]) => number));
  const repositoryId = simulator.world.repositories[0]?.id;
  expect(await askSql("select * from jobs", options)).toMatchObject([
    {
      host: "github-simulator",
      repository_id: repositoryId,
      repository: "octo-org/octo-repo",
      run_id: 29679449,
      run_attempt: 1,
      last_listed_attempt: 1,
      job_id: 399444496,
      workflow_name: "CI",
      job_name: "build",
      event: "push",
      actor: "mona",
      triggering_actor: "mona",
      head_branch: "main",
      head_sha: "f83a356604ae3c5d03e1b46ef4d1ca77d64a90b0",
      status: "completed",
      conclusion: "success",
      runner_name: "my runner",
      runner_group_name: "my runner group",
      labels: ["self-hosted", "foo", "bar"],
      // The documented job has no created_at.
      created_at: null,
      started_at: "2020-01-20T17:42:40+00:00",
      completed_at: "2020-01-20T17:44:39+00:00",
      duration_seconds: 119,
      log_state: "archived",
      log_reason: null,
      log_flags: [],
      log_key: `logs/github-simulator/${repositoryId}/29679449/399444496.log.zst`,
      log_bytes: logs.stdoutBytes.length,
      log_sha256: createHash("sha256").update(logs.stdoutBytes).digest("hex"),
      archived_at: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T.*\+00:00$/),
    },
  ]);
  expect(await askSql("select * from audit.steps where job_id = 399444496 order by step_number", options)).toMatchObject(
    stepTimes.map(([step_number, step_name, from, to, duration_seconds]) => ({
      host: "github-simulator",
      repository_id: repositoryId,
      job_id: 399444496,
      step_number,
      step_name,
      status: "completed",
      conclusion: "success",
      started_at: `2020-01-20T${from}+00:00`,
      completed_at: `2020-01-20T${to}+00:00`,
      duration_seconds,
      ...lines.get(step_number),
    })),
  );
});
