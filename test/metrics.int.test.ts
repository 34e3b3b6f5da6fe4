// The metrics that workers serve: those of docs/metrics.md and no others, and values that follow what happens.

import { readFileSync } from "node:fs";

import { Metrics } from "@actions-archive/core/metrics";
import { startSimulator } from "@actions-archive/github-simulator/simulator";
import { openTcpProxy } from "@actions-archive/testkit/tcp-proxy";
import { expect, test } from "vitest";

import { findFreePort } from "./support/free-port.ts";
import { mainOf, runCli, type Settings, startProgram } from "./support/processes.ts";
import { newKey } from "./support/sealed-archive.ts";
import { engineSettings, githubSettings, openWorkspace } from "./support/workspace.ts";

test("docs/metrics.md lists every metric of the product, with its kind", async () => {
  const page = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8");
  const documented = [...page.matchAll(/^\| `(actions_archive_\w+)` +\| (\w+) +\|/gm)].map(([, name, kind]) => `${name} ${kind}`);
  const served = await new Metrics().registry.getMetricsAsJSON();
  const own = served.filter(({ name }) => name.startsWith("actions_archive_"));
  expect(new Set(documented)).toEqual(new Set(own.map(({ name, type }) => `${name} ${String(type)}`)));
});

async function scrape(port: number, path = "/metrics"): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

/** The value of a sample; undefined when it is not served. @param sample as in the exposition format, without the prefix. */
function valueOf(text: string, sample: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`actions_archive_${sample} `));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

test("start counts what it discovers, archives and requests, and serves the state of the ledger", async () => {
  await using workspace = await openWorkspace();
  await using simulator = await startSimulator({ scenario: "empty" });
  simulator.control.addRun({ repository: "octo-org/api", jobs: [{ name: "build" }, { name: "test" }], completedSecondsAgo: 60 });
  const port = await findFreePort();
  const settings = {
    ...(await engineSettings(workspace)),
    ...githubSettings(simulator),
    ARCHIVE_REPOSITORIES: "octo-org/api",
    SEAL_KEY: newKey().pem,
    PORT: String(port),
    GITHUB_WEBHOOK_SECRET: "secret",
  };
  await using program = startProgram(mainOf("cli"), ["start"], { cwd: workspace.folder, settings });
  await program.prints("log archived", 2);
  await expect
    .poll(async () => valueOf((await scrape(port)).text, "load_lag_seconds_count"), { timeout: 30_000, interval: 500 })
    .toBe(2);
  await fetch(`http://127.0.0.1:${port}/webhooks/github`, { method: "POST", body: "{}" });
  const { text } = await scrape(port);
  expect(valueOf(text, 'jobs_discovered_total{source="listing"}')).toBe(2);
  expect(valueOf(text, 'logs_total{state="archived",reason=""}')).toBe(2);
  expect(valueOf(text, 'log_bytes_total{kind="raw"}')).toBeGreaterThan(
    valueOf(text, 'log_bytes_total{kind="stored"}') ?? Infinity,
  );
  expect(valueOf(text, "archive_lag_seconds_count")).toBe(2);
  expect(valueOf(text, "loader_batch_seconds_count")).toBeGreaterThan(0);
  expect(valueOf(text, 'github_requests_total{class="2xx"}')).toBeGreaterThan(2);
  expect(valueOf(text, 'store_requests_total{operation="put",class="ok"}')).toBeGreaterThan(2);
  expect(valueOf(text, 'webhooks_total{outcome="wrong_signature"}')).toBe(1);
  for (const engine of ["database", "queue", "store"]) expect(valueOf(text, `engine_up{engine="${engine}"}`)).toBe(1);
  expect(valueOf(text, 'queue_jobs{queue="archive",state="waiting"}')).toBe(0);
  expect(valueOf(text, "spool_bytes")).toBe(0);
  expect(valueOf(text, "scrub_mismatches_total")).toBe(0);
  expect(text).toMatch(/^actions_archive_build_info\{version="\d+\.\d+\.\d+"\} 1$/m);
  await expect.poll(async () => valueOf((await scrape(port)).text, "pending_logs"), { timeout: 15_000, interval: 500 }).toBe(0);
});

test("readiness names the engine that does not answer and nothing else, and engine_up falls", async () => {
  await using workspace = await openWorkspace();
  const settings: Settings = { ...(await engineSettings(workspace)), GITHUB_API_URL: "http://127.0.0.1:9" };
  await using proxy = await openTcpProxy(Number(new URL(settings["QUEUE_URL"] ?? "").port));
  const port = await findFreePort();
  await runCli(["migrate"], { cwd: workspace.folder, settings });
  const ownSettings = { ...settings, QUEUE_URL: proxy.before(settings["QUEUE_URL"] ?? ""), PORT: String(port) };
  await using program = startProgram(mainOf("loader"), [], { cwd: workspace.folder, settings: ownSettings });
  await program.prints('"started"');
  expect(await scrape(port, "/readyz")).toEqual({ status: 200, text: '{"status":"ok"}' });
  proxy.isRefusing = true;
  proxy.cut();
  await expect
    .poll(() => scrape(port, "/readyz"), { timeout: 30_000, interval: 500 })
    .toEqual({ status: 503, text: '{"status":"unavailable","reason":"the queue does not answer"}' });
  expect(valueOf((await scrape(port)).text, 'engine_up{engine="queue"}')).toBe(0);
  expect(valueOf((await scrape(port)).text, 'engine_up{engine="database"}')).toBe(1);
  expect((await scrape(port, "/livez")).status).toBe(200);
});
