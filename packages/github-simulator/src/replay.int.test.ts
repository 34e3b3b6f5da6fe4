// Recorded answers and logs are served unchanged: from a folder made here, and from a folder of real recordings if there is one.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { type Simulator, startSimulator } from "./simulator.ts";
import { documentedExample } from "./world/documented-example.ts";

const recordings = new URL("../../../../shared/fixtures/job-logs/bugswarm", import.meta.url).pathname;

async function get(simulator: Simulator, path: string): Promise<unknown> {
  const response = await fetch(simulator.apiUrl + path, {
    headers: { authorization: `Bearer ${simulator.token}`, "user-agent": "test" },
  });
  return response.json();
}

async function download(simulator: Simulator, path: string): Promise<Buffer> {
  const headers = { authorization: `Bearer ${simulator.token}`, "user-agent": "test" };
  const redirect = await fetch(simulator.apiUrl + path, { headers, redirect: "manual" });
  const log = await fetch(redirect.headers.get("location") ?? "");
  return Buffer.from(await log.arrayBuffer());
}

test("the documented example is served value for value, with its run and a log inside its window", async () => {
  await using simulator = await startSimulator({ scenario: "empty", extraJobs: [documentedExample()] });
  const repository = "/repos/octo-org/octo-repo";
  expect(await get(simulator, `${repository}/actions/jobs/399444496`)).toEqual(documentedExample());
  expect(await get(simulator, `${repository}/actions/runs?created=%3E%3D2020-01-01`)).toMatchObject({
    total_count: 1,
    workflow_runs: [{ id: 29679449, created_at: "2020-01-20T17:42:40Z", status: "completed", name: "CI" }],
  });
  expect(await get(simulator, `${repository}/actions/runs/29679449/attempts/1/jobs`)).toMatchObject({
    total_count: 1,
    jobs: [documentedExample()],
  });
  const log = (await download(simulator, `${repository}/actions/jobs/399444496/logs`)).toString("utf8");
  expect(log).toMatch(/^\uFEFF2020-01-20T17:42:4/);
  expect(log).toContain("Cleaning up orphan processes");
  expect((await simulator.control.world({})).jobs[0]?.expected).toMatchObject({ state: "archived" });
});

test("a folder of job objects and logs is served as recorded, a log without an object in a window of its own", async () => {
  const folder = await mkdtemp(join(tmpdir(), "replay-"));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "jobs"));
  await mkdir(join(folder, "logs"));
  await writeFile(join(folder, "jobs", "page.json"), JSON.stringify({ total_count: 1, jobs: [documentedExample()] }));
  await writeFile(join(folder, "logs", "399444496.txt"), "2020-01-20T17:42:40.0000000Z raw\u0000bytes\r\n");
  await writeFile(
    join(folder, "logs", "build__7123456789.log"),
    "\uFEFF2024-06-01T10:00:00.1234567Z a\nb\n2024-06-01T10:05:09.9999999Z c",
  );
  await using simulator = await startSimulator({ replayDir: folder });
  const log = await download(simulator, "/repos/octo-org/octo-repo/actions/jobs/399444496/logs");
  expect(log).toEqual(await readFile(join(folder, "logs", "399444496.txt")));
  expect(await get(simulator, "/repos/replayed/logs/actions/jobs/7123456789")).toMatchObject({
    started_at: "2024-06-01T10:00:00Z",
    completed_at: "2024-06-01T10:05:09Z",
  });
});

test("a folder without recordings is refused", async () => {
  await expect(startSimulator({ replayDir: import.meta.dirname })).rejects.toThrow("holds no job objects");
});

test.skipIf(!existsSync(recordings))(
  "every recorded log comes back byte for byte (skipped without ../shared/fixtures)",
  async () => {
    await using simulator = await startSimulator({ replayDir: recordings });
    const { jobs } = await simulator.control.world({});
    expect(jobs.length).toBeGreaterThan(50);
    for (const { jobId, repository, expected } of jobs) {
      const bytes = await download(simulator, `/repos/${repository}/actions/jobs/${jobId}/logs`);
      expect(expected).toMatchObject({
        state: "archived",
        rawSha256: createHash("sha256").update(bytes).digest("hex"),
        rawBytes: bytes.length,
      });
    }
  },
);
