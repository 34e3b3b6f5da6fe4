// A webhook reports a job with unfinished steps, and its log is split by them. The listing has the final steps, and the log is split again.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { createTestDatabase } from "@actions-archive/testkit/test-database";
import { Client } from "pg";
import { expect, test, vi } from "vitest";

import { post, sign } from "./support/attacker.ts";
import { findFreePort } from "./support/free-port.ts";
import { mainOf, runCli, startProgram } from "./support/processes.ts";
import { engineSettings, githubSettings, openWorkspace, type Workspace } from "./support/workspace.ts";

const secret = "It's a Secret to Everybody";
const jobId = 7_300_000_001;
const runId = 7_200_000_001;

const at = (seconds: number) => new Date(Date.UTC(2026, 4, 4, 12, 30, seconds)).toISOString().replace(".000Z", "Z");
const step = (number: number, name: string, [from, to]: readonly [number, number], conclusion = "success") => ({
  number,
  name,
  status: "completed",
  conclusion,
  started_at: at(from),
  completed_at: at(to),
});
const api = "https://api.github.com/repos/acme/late";

/** The job in the listing. */
const listed = {
  id: jobId,
  run_id: runId,
  run_url: `${api}/actions/runs/${runId}`,
  run_attempt: 1,
  node_id: "CR_1",
  head_sha: "4".repeat(40),
  head_branch: "main",
  url: `${api}/actions/jobs/${jobId}`,
  html_url: null,
  status: "completed",
  conclusion: "failure",
  created_at: at(0),
  started_at: at(0),
  completed_at: at(51),
  name: "unit",
  workflow_name: "Checks",
  check_run_url: `${api}/check-runs/${jobId}`,
  labels: ["ubuntu-24.04"],
  runner_id: 3,
  runner_name: "runner-3",
  runner_group_id: 1,
  runner_group_name: "Default",
  steps: [
    step(1, "Set up job", [0, 2]),
    step(2, "Compile", [2, 20]),
    step(3, "Unit tests", [20, 50], "failure"),
    step(4, "Complete job", [50, 51]),
  ],
};

/** The job in its webhook. https://github.com/octokit/webhooks.net/issues/170 */
const delivered = {
  ...listed,
  steps: listed.steps.map((each) => {
    if (each.number === 1) return each;
    const isRunning = each.number === 2;
    return {
      ...each,
      status: isRunning ? "in_progress" : "queued",
      conclusion: null,
      started_at: isRunning ? each.started_at : null,
      completed_at: null,
    };
  }),
};

const line = (seconds: number, text: string) => `${at(seconds).replace("Z", ".4000000Z")} ${text}\n`;
const log = [
  line(0, "Current runner version: '2.331.0'"),
  line(2, "##[group]Run cargo build"),
  line(2, "\u001B[36;1mcargo build\u001B[0m"),
  line(2, "##[endgroup]"),
  line(18, "Finished dev profile"),
  line(20, "##[group]Run cargo test"),
  line(20, "\u001B[36;1mcargo test\u001B[0m"),
  line(20, "##[endgroup]"),
  line(49, "##[error]2 of 80 tests failed"),
  line(50, "Cleaning up orphan processes"),
].join("");

async function makeReplay({ folder }: Workspace): Promise<string> {
  const replayDir = join(folder, "recordings");
  await mkdir(replayDir);
  await writeFile(join(replayDir, "job.json"), JSON.stringify(listed));
  await writeFile(join(replayDir, `${jobId}.log`), log);
  return replayDir;
}

const splitOf = async (client: Client) => ({
  steps: (await client.query("select step_number, first_line from audit.steps order by 1")).rows.map(
    ({ step_number, first_line }) => [step_number, Number(first_line)],
  ),
  annotations: (await client.query("select step_number, message from audit.annotations")).rows,
});
const split = {
  steps: [
    [1, 1],
    [2, 2],
    [3, 6],
    [4, 10],
  ],
  annotations: [{ step_number: 3, message: "2 of 80 tests failed" }],
};
const waitOptions = { timeout: 90_000, interval: 100 };

test("the log of a job whose webhook came before its steps ended is split again, once", { timeout: 600_000 }, async () => {
  await using resources = new AsyncDisposableStack();
  const workspace = resources.use(await openWorkspace());
  const simulator = resources.use(await startSimulator({ replayDir: await makeReplay(workspace) }));
  const port = await findFreePort();
  const engines = await engineSettings(workspace);
  const settings = {
    ...githubSettings(simulator),
    ...engines,
    ARCHIVE_SINCE: "2026-01-01",
    POLL_INTERVAL_SECONDS: "1",
    GITHUB_WEBHOOK_SECRET: secret,
    PORT: String(port),
    SEAL_KEY: generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }),
  };
  const options = { cwd: workspace.folder, settings };
  const client = new Client({ connectionString: engines["DATABASE_URL"] });
  await client.connect();
  resources.defer(() => client.end());
  const recordKeys = async () =>
    (await readdir(join(workspace.archive, "records"), { recursive: true })).filter((name) => name.endsWith(".json"));

  // Without listings the webhook is the only source of the job.
  const fault = simulator.faults.add({ origin: "api", path: "/repos/*/actions/runs*", status: 502, times: "forever" });
  const program = resources.use(startProgram(mainOf("cli"), ["start"], options));
  await program.prints('"msg":"started"');
  await vi.waitFor(async () => {
    const { rows } = await client.query("select from archive.repositories where is_selected");
    expect(rows).toHaveLength(1);
  }, waitOptions);
  const repository = { id: simulator.world.repositories[0]?.id, full_name: "acme/late" };
  const body = JSON.stringify({ action: "completed", repository, workflow_job: delivered });
  const deliver = () => post({ port }, body, { "x-hub-signature-256": sign(body, secret), "x-github-delivery": randomUUID() });
  expect(await deliver()).toBe(202);
  await vi.waitFor(async () => {
    const { rows } = await client.query("select log_state from audit.jobs");
    expect(rows).toEqual([{ log_state: "archived" }]);
  }, waitOptions);
  expect((await splitOf(client)).annotations).not.toEqual(split.annotations);
  expect(await recordKeys()).toHaveLength(1);

  simulator.faults.clear(fault.id);
  await vi.waitFor(async () => expect(await splitOf(client)).toEqual(split), waitOptions);
  expect(await recordKeys()).toHaveLength(2);

  expect(await deliver()).toBe(202);
  program.stop("SIGTERM");
  expect((await program.ended).code).toBe(0);
  const pass = await runCli(["start", "--once", "--json"], options);
  expect(pass.code, `${pass.stderr}\n${pass.stdout}`).toBe(0);
  expect(await recordKeys()).toHaveLength(2);
  expect(await splitOf(client)).toEqual(split);

  const verified = await runCli(["verify", "--deep", "--against-database", "--json"], options);
  expect(verified.code, `${verified.stderr}\n${verified.stdout}`).toBe(0);
  const proof = await runCli(["proof", String(jobId), "--json"], options);
  expect(JSON.parse(proof.stdout)).toMatchObject({ entry: { key: expect.stringContaining(`${jobId}.2.json`) } });

  const DATABASE_URL = await createTestDatabase({ migrated: true });
  const rebuilt = { ...options, settings: { ...settings, DATABASE_URL } };
  expect(await runCli(["rebuild"], rebuilt)).toMatchObject({ code: 0 });
  const other = new Client({ connectionString: DATABASE_URL });
  await other.connect();
  resources.defer(() => other.end());
  expect(await splitOf(other)).toEqual(split);
  expect(await runCli(["reindex"], rebuilt)).toMatchObject({ code: 0, stdout: expect.stringContaining("Read 0 archived logs") });
});
