// A GitHub with wrong Date headers, from an operator's view: one warning in the log, and a line of `status` while it lasts.

import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { expect, test } from "vitest";
import { z } from "zod";

import { runCli } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

const Status = z.object({
  clock_skew: z.array(
    z.object({ host: z.string(), skew_seconds: z.int(), since: z.iso.datetime(), last_seen_at: z.iso.datetime() }),
  ),
});

test.each([
  ["ahead of", 3_600_000],
  ["behind", -3_600_000],
])(
  "a GitHub that stays an hour %s the database is logged once and shown by status",
  { timeout: 120_000 },
  async (words, skewMs) => {
    await using workspace = await openWorkspace();
    await using simulator = await startSimulator({ scenario: "empty" });
    simulator.control.addRun({
      repository: "octo-org/api",
      jobs: [{ name: "build" }, { name: "test" }],
      completedSecondsAgo: 3_600,
    });
    const date = new Date(Date.now() + skewMs).toUTCString();
    const fault = simulator.faults.add({ origin: "api", headers: { date }, times: "forever" });
    const settings = { ...githubSettings(simulator), ...(await engineSettings(workspace)) };
    const options = { cwd: workspace.folder, settings };
    const { host } = new URL(simulator.apiUrl);
    const passArgs = ["start", "--once", "--max-wait", "5"];

    const { stdout, stderr } = await runCli(passArgs, options);
    const warnings = `${stdout}\n${stderr}`.split("\n").filter((line) => line.includes('"clock skew"'));
    // At most one of the fetcher and one of the log-worker.
    expect(warnings.length).toBeGreaterThanOrEqual(1);
    expect(warnings.length).toBeLessThanOrEqual(2);
    expect(warnings[0]).toContain(`"host":"${host}"`);

    const json = await runCli(["status", "--json"], options);
    const [skew, ...others] = Status.parse(JSON.parse(json.stdout)).clock_skew;
    expect([skew?.host, others]).toEqual([host, []]);
    expect(Math.abs((skew?.skew_seconds ?? 0) - skewMs / 1_000)).toBeLessThan(120);
    expect((await runCli(["status"], options)).stdout).toMatch(
      new RegExp(`The Date header of ${RegExp.escape(host)} is .* ${words} the database's clock since`),
    );

    simulator.faults.clear(fault.id);
    expect((await runCli(passArgs, options)).code).toBe(0);
    expect(Status.parse(JSON.parse((await runCli(["status", "--json"], options)).stdout)).clock_skew).toEqual([]);
  },
);
