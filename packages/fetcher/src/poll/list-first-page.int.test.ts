// The cost of a poll, and completeness despite deletions and old servers.

import { Builder } from "@actions-archive/github-simulator/world/builder";
import { expect, test } from "vitest";

import { type Harness, openHarness } from "../../test-support/harness.ts";

const logSizes = { medianBytes: 100, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 1_000 };

/** A repository with one run without jobs in each of the last `count` hours. */
async function openHourly(count: number): Promise<{ harness: Harness; repositoryId: number; runIds: number[] }> {
  const harness = await openHarness({ rateLimits: { perHour: 100_000 } });
  const repositoryId = await harness.addRepository("acme/app");
  const repository = harness.simulator.world.findRepositoryById(repositoryId);
  if (repository === undefined) throw new Error("no repository");
  const builder = new Builder(harness.simulator.world, 1, logSizes);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const runs = Array.from({ length: count }, (_, index) =>
    builder.run({ repository, createdAtMs: now - (count - index) * 3_600_000, emptyConclusion: "startup_failure" }),
  );
  return { harness, repositoryId, runIds: runs.map(({ id }) => id) };
}

const apiCalls = ({ simulator }: Harness) => simulator.journal.entries({ origin: "api" });

test("a poll of an unchanged repository costs one request that does not count against the limit", async () => {
  const { harness, repositoryId } = await openHourly(3);
  await using _ = harness;
  await harness.poll(repositoryId);
  harness.simulator.journal.clear();
  for (let poll = 0; poll < 3; poll++) await harness.poll(repositoryId, false);
  expect(apiCalls(harness).map(({ status }) => status)).toEqual([304, 304, 304]);
});

test("the span of an unchanged list is covered", async () => {
  const { harness, repositoryId } = await openHourly(3);
  await using _ = harness;
  await harness.poll(repositoryId);
  harness.simulator.clock.advance(3_600_000);
  await harness.poll(repositoryId, false);
  const [{ settled } = {}] = await harness.query("select max(window_end) as settled from archive.windows");
  expect(Number(settled) - harness.simulator.clock.now().getTime()).toBeGreaterThan(-180_000);
});

test("a new run costs one run list and one job list", async () => {
  const { harness, repositoryId } = await openHourly(3);
  await using _ = harness;
  await harness.poll(repositoryId);
  harness.simulator.control.addRun({ repository: "acme/app", jobs: [{ name: "build" }], completedSecondsAgo: 1 });
  harness.simulator.journal.clear();
  await harness.poll(repositoryId, false);
  expect(apiCalls(harness).map(({ url, status }) => `${status} ${url.replace(/\d{5,}/g, "N").replace(/\?.*/, "")}`)).toEqual([
    "200 /repos/acme/app/actions/runs",
    "200 /repos/acme/app/actions/runs/N/attempts/1/jobs",
    // The ETag confirms the list, which does not count against GitHub's limit.
    "304 /repos/acme/app/actions/runs/N/attempts/1/jobs",
  ]);
  expect(await harness.query("select count(*)::int as jobs from archive.log_jobs")).toEqual([{ jobs: 1 }]);
});

test("a run deleted between two pages hides no other", async () => {
  const { harness, repositoryId, runIds } = await openHourly(250);
  await using _ = harness;
  const newest = runIds.at(-1) ?? 0;
  // Deleted once the first filtered page is served: the second page would start one run too late.
  const deleted = harness.simulator.journal
    .next({ origin: "api", url: "created=" })
    .then(() => harness.simulator.control.deleteRun({ runId: newest }));
  await harness.poll(repositoryId);
  await deleted;
  const found = await harness.query("select run_id::float8 as run_id from archive.runs order by run_id");
  expect(found.map(({ run_id }) => run_id)).toEqual(runIds.toSorted((a, b) => a - b));
});

test("a server without job lists per attempt lists all jobs, each for its own attempt", async () => {
  await using harness = await openHarness({ face: "ghes", ghesVersion: "3.4.0" });
  const repositoryId = await harness.addRepository("acme/app");
  const { runId } = harness.simulator.control.addRun({ repository: "acme/app", jobs: [{ name: "build" }, { name: "test" }] });
  harness.simulator.control.rerun({ runId });
  await harness.poll(repositoryId);
  const rows = await harness.query("select run_attempt, count(*)::int as jobs from archive.log_jobs group by 1 order by 1");
  expect(rows).toEqual([
    { run_attempt: 1, jobs: 2 },
    { run_attempt: 2, jobs: 2 },
  ]);
});
