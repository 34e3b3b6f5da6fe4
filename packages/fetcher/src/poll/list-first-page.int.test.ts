// What a poll costs, and what deletions and old servers cannot hide from it.

import { Builder } from "@actions-archive/github-simulator/world/builder";
import { expect, test } from "vitest";

import { type Bench, openBench } from "../../test-support/harness.ts";

const logSizes = { medianBytes: 100, tailShareOfLogs: 0, tailShareOfBytes: 0, capBytes: 1_000 };

/** A repository with one run without jobs in each of the last `count` hours. */
async function openHourly(count: number): Promise<{ bench: Bench; repositoryId: number; runIds: number[] }> {
  const bench = await openBench({ rateLimits: { perHour: 100_000 } });
  const repositoryId = await bench.addRepository("acme/app");
  const repository = bench.simulator.world.findRepositoryById(repositoryId);
  if (repository === undefined) throw new Error("no repository");
  const builder = new Builder(bench.simulator.world, 1, logSizes);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const runs = Array.from({ length: count }, (_, index) =>
    builder.run({ repository, createdAtMs: now - (count - index) * 3_600_000, emptyConclusion: "startup_failure" }),
  );
  return { bench, repositoryId, runIds: runs.map(({ id }) => id) };
}

const apiCalls = ({ simulator }: Bench) => simulator.journal.entries({ origin: "api" });

test("a poll of a repository in which nothing happened is one answer that costs nothing of the limit", async () => {
  const { bench, repositoryId } = await openHourly(3);
  await using _ = bench;
  await bench.poll(repositoryId);
  bench.simulator.journal.clear();
  for (let poll = 0; poll < 3; poll++) await bench.poll(repositoryId, false);
  expect(apiCalls(bench).map(({ status }) => status)).toEqual([304, 304, 304]);
});

test("what an unchanged list proves is covered", async () => {
  const { bench, repositoryId } = await openHourly(3);
  await using _ = bench;
  await bench.poll(repositoryId);
  bench.simulator.clock.advance(3_600_000);
  await bench.poll(repositoryId, false);
  const [{ settled } = {}] = await bench.ask("select max(window_end) as settled from archive.windows");
  expect(Number(settled) - bench.simulator.clock.now().getTime()).toBeGreaterThan(-180_000);
});

test("a new run costs one listing of runs and one of its jobs", async () => {
  const { bench, repositoryId } = await openHourly(3);
  await using _ = bench;
  await bench.poll(repositoryId);
  bench.simulator.control.addRun({ repository: "acme/app", jobs: [{ name: "build" }], completedSecondsAgo: 1 });
  bench.simulator.journal.clear();
  await bench.poll(repositoryId, false);
  expect(apiCalls(bench).map(({ url, status }) => `${status} ${url.replace(/\d{5,}/g, "N").replace(/\?.*/, "")}`)).toEqual([
    "200 /repos/acme/app/actions/runs",
    "200 /repos/acme/app/actions/runs/N/attempts/1/jobs",
    // The list is confirmed by its ETag, which costs nothing of GitHub's limit.
    "304 /repos/acme/app/actions/runs/N/attempts/1/jobs",
  ]);
  expect(await bench.ask("select count(*)::int as jobs from archive.obligations")).toEqual([{ jobs: 1 }]);
});

test("a run that is deleted between two pages hides no other", async () => {
  const { bench, repositoryId, runIds } = await openHourly(250);
  await using _ = bench;
  const newest = runIds.at(-1) ?? 0;
  // Deleted as soon as the first filtered page has left GitHub: the second page would begin one run too late.
  const deleted = bench.simulator.journal
    .next({ origin: "api", url: "created=" })
    .then(() => bench.simulator.control.deleteRun({ runId: newest }));
  await bench.poll(repositoryId);
  await deleted;
  const found = await bench.ask("select run_id::float8 as run_id from archive.runs order by run_id");
  expect(found.map(({ run_id }) => run_id)).toEqual(runIds.toSorted((a, b) => a - b));
});

test("a server without attempts lists the jobs of all, each for the attempt that it belongs to", async () => {
  await using bench = await openBench({ face: "ghes", ghesVersion: "3.4.0" });
  const repositoryId = await bench.addRepository("acme/app");
  const { runId } = bench.simulator.control.addRun({ repository: "acme/app", jobs: [{ name: "build" }, { name: "test" }] });
  bench.simulator.control.rerun({ runId });
  await bench.poll(repositoryId);
  const rows = await bench.ask("select run_attempt, count(*)::int as jobs from archive.obligations group by 1 order by 1");
  expect(rows).toEqual([
    { run_attempt: 1, jobs: 2 },
    { run_attempt: 2, jobs: 2 },
  ]);
});
