// The job that GitHub's REST reference shows, with every value as documented there: old times, offsets, a gap in the numbers,
// fields that today's schema requires and the example lacks.
// https://docs.github.com/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run

import type { RecordedJob } from "./recorded.ts";

const steps = [
  [1, "Set up job", "09:42:40", "09:42:41"],
  [2, "Run actions/checkout@v2", "09:42:41", "09:42:45"],
  [3, "Set up Ruby", "09:42:45", "09:42:45"],
  [4, "Run actions/cache@v3", "09:42:45", "09:42:48"],
  [5, "Install Bundler", "09:42:48", "09:42:52"],
  [6, "Install Gems", "09:42:52", "09:42:53"],
  [7, "Run Tests", "09:42:53", "09:42:59"],
  [8, "Deploy to Heroku", "09:42:59", "09:44:39"],
  [16, "Post actions/cache@v3", "09:44:39", "09:44:39"],
  [17, "Complete job", "09:44:39", "09:44:39"],
] as const;

/**
 * Job 399444496 of run 29679449. The published OpenAPI example has ten steps, the last one numbered 17 ("Complete job");
 * `lastStep` 16 leaves that one out.
 */
export function documentedExample({ lastStep = 17 }: { readonly lastStep?: 16 | 17 } = {}): RecordedJob {
  const api = "https://api.github.com/repos/octo-org/octo-repo";
  return {
    id: 399444496,
    run_id: 29679449,
    run_url: `${api}/actions/runs/29679449`,
    node_id: "MDEyOldvcmtmbG93IEpvYjM5OTQ0NDQ5Ng==",
    head_sha: "f83a356604ae3c5d03e1b46ef4d1ca77d64a90b0",
    url: `${api}/actions/jobs/399444496`,
    html_url: "https://github.com/octo-org/octo-repo/runs/29679449/jobs/399444496",
    status: "completed",
    conclusion: "success",
    started_at: "2020-01-20T17:42:40Z",
    completed_at: "2020-01-20T17:44:39Z",
    name: "build",
    steps: steps
      .filter(([number]) => number <= lastStep)
      .map(([number, name, from, to]) => ({
        name,
        status: "completed",
        conclusion: "success",
        number,
        started_at: `2020-01-20T${from}.000-08:00`,
        completed_at: `2020-01-20T${to}.000-08:00`,
      })),
    check_run_url: `${api}/check-runs/399444496`,
    labels: ["self-hosted", "foo", "bar"],
    runner_id: 1,
    runner_name: "my runner",
    runner_group_id: 2,
    runner_group_name: "my runner group",
    workflow_name: "CI",
    head_branch: "main",
  };
}
