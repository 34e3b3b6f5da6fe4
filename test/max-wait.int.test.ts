// `start --once --max-wait`: the pass ends with 3 and a list, whatever GitHub answers and however often a log is deferred.

import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { expect, test } from "vitest";
import { z } from "zod";

import { runCli, type Settings } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const Report = z.object({
  counts: z.looseObject({ archived: z.int(), failed: z.int(), pending: z.int() }),
  owed: z.array(z.object({ kind: z.string(), job_id: z.int().nullable(), reason: z.string().nullable(), detail: z.string() })),
});

const repository = "octo-org/api";

type Engines = { readonly cwd: string; readonly settings: Settings };

async function runPass(simulator: Simulator, maxWaitSeconds: number, code = 3, engines?: Engines) {
  await using workspace = await openWorkspace();
  const { cwd, settings } = engines ?? {
    cwd: workspace.folder,
    settings: { ...githubSettings(simulator), ...(await engineSettings(workspace)) },
  };
  const startedAt = performance.now();
  const args = ["start", "--once", "--json", "--max-wait", String(maxWaitSeconds)];
  const { code: ended, stdout, stderr } = await runCli(args, { cwd, settings });
  expect(ended, stderr).toBe(code);
  return { seconds: (performance.now() - startedAt) / 1000, report: Report.parse(JSON.parse(stdout)) };
}

test("a copy whose original failed is archived, and the pass ends", { timeout: 90_000 }, async () => {
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perHour: 100_000 } });
  const jobs = [{ name: "build" }, { name: "test", conclusion: "failure" as const }];
  const { runId, jobIds } = simulator.control.addRun({ repository, jobs, completedSecondsAgo: 7_200 });
  simulator.control.rerun({ runId, failedOnly: true });
  const body = `{"message":"Must have admin rights to Repository."}`;
  simulator.faults.add({ path: `*/jobs/${jobIds[0]}/logs`, status: 403, body, times: "forever" });
  const { report } = await runPass(simulator, 600);
  expect(report.counts).toMatchObject({ archived: 3, failed: 1, pending: 0 });
  expect(report.owed).toMatchObject([{ kind: "log_failed", job_id: jobIds[0], reason: "forbidden" }]);
});

test("a log whose 410 is in doubt for a day is pending, listed, and not waited for", { timeout: 90_000 }, async () => {
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perHour: 100_000 } });
  const { jobIds } = simulator.control.addRun({ repository, completedSecondsAgo: 7_200 });
  simulator.control.setLog({ jobId: jobIds[0] ?? 0, kind: "expired" });
  const { seconds, report } = await runPass(simulator, 60);
  expect(report.counts).toMatchObject({ archived: 0, pending: 1 });
  expect(report.owed).toMatchObject([
    { kind: "log_pending", job_id: jobIds[0], reason: "again_later", detail: expect.stringContaining("410") },
  ]);
  expect(seconds).toBeLessThan(50);
});

test("a log whose 410 was in doubt is requested at once by the next pass", { timeout: 90_000 }, async () => {
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perHour: 100_000 } });
  await using workspace = await openWorkspace();
  simulator.control.addRun({ repository, completedSecondsAgo: 7_200 });
  const settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)) };
  // For the first request and its retry.
  simulator.control.addFault({ path: "*/logs", times: 2, lie: { kind: "error", status: 410 } });
  const first = await runPass(simulator, 60, 3, { cwd: workspace.folder, settings });
  expect(first.report.counts).toMatchObject({ archived: 0, pending: 1 });
  const second = await runPass(simulator, 60, 0, { cwd: workspace.folder, settings });
  expect(second.report.counts).toMatchObject({ archived: 1, pending: 0 });
});

test("a log that is deferred again and again ends the pass when --max-wait is over", { timeout: 90_000 }, async () => {
  await using simulator = await startSimulator({ scenario: "empty", logDelaySeconds: 500, rateLimits: { perHour: 100_000 } });
  simulator.control.addRun({ repository, completedSecondsAgo: 20 });
  const { seconds, report } = await runPass(simulator, 8);
  expect(report.counts).toMatchObject({ archived: 0, pending: 1 });
  expect(seconds).toBeLessThan(60);
});

test("a Date that stays an hour wrong ends the pass by --max-wait, and runs are archived", { timeout: 90_000 }, async () => {
  await using simulator = await startSimulator({ scenario: "empty", rateLimits: { perHour: 100_000 } });
  simulator.control.addRun({ repository, completedSecondsAgo: 600 });
  simulator.control.addRun({ repository, state: "in_progress" });
  simulator.control.addFault({ path: "*/actions/runs", times: "forever", lie: { kind: "wrong-date", seconds: 3_600 } });
  const { seconds, report } = await runPass(simulator, 8);
  // The runs are archived. Windows do not end at a refused date.
  expect(report.counts).toMatchObject({ archived: 1 });
  expect(report.owed).toContainEqual(
    expect.objectContaining({ kind: "window_open", reason: "problem", detail: expect.stringContaining("ahead of") }),
  );
  expect(seconds).toBeLessThan(60);
});
