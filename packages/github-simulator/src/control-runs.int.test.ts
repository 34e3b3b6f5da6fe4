// Runs made by control functions: jobs that lag, lists out of order, and many runs in one second.

import { expect, test } from "vitest";

import { type Simulator, startSimulator } from "./simulator.ts";

const clockStart = new Date("2026-11-20T10:00:00Z");
const repository = "octo-org/api";

type Item = { readonly id: number; readonly status: string; readonly conclusion: string | null; readonly created_at: string };
type List = { readonly total_count: number; readonly workflow_runs?: Item[]; readonly jobs?: Item[] };

async function get(simulator: Simulator, path: string): Promise<List> {
  const response = await fetch(`${simulator.apiUrl}/repos/${repository}/actions${path}`, {
    headers: { authorization: `Bearer ${simulator.token}`, "user-agent": "test" },
  });
  expect(response.status).toBe(200);
  // The OpenAPI tests check this shape.
  return (await response.json()) as List;
}

test("a job lags behind its completed run, in progress with steps that have not ended", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockStart, clockSpeed: 0 });
  const jobs = [{ name: "build", lagSeconds: 60 }, { name: "test" }];
  const { runId } = simulator.control.addRun({ repository, jobs });
  const read = async () => (await get(simulator, `/runs/${runId}/jobs`)).jobs ?? [];
  expect(await get(simulator, `/runs/${runId}`)).toMatchObject({ status: "completed", conclusion: "success" });
  const [build, other] = await read();
  expect(build).toMatchObject({ status: "in_progress", conclusion: null, completed_at: null });
  expect(JSON.stringify(build)).toContain('"in_progress","conclusion":null,"number"');
  expect(other).toMatchObject({ status: "completed" });
  expect([...simulator.world.shown.jobs]).toEqual([other?.id]);
  simulator.clock.advance(60_000);
  expect(await read()).toMatchObject([{ status: "completed", conclusion: "success" }, { status: "completed" }]);
});

test("a job is missing until its lag has passed, after completeRun and after a re-run", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockStart, clockSpeed: 0 });
  const { runId } = simulator.control.addRun({ repository, jobs: [{ name: "a" }, { name: "b" }], state: "in_progress" });
  const lag = { lagSeconds: 30, lagShows: "missing" } as const;
  const count = async () => (await get(simulator, `/runs/${runId}/jobs`)).total_count;
  expect(await count()).toBe(2);
  await simulator.control.completeRun({ runId, jobs: [{ name: "b", ...lag }] });
  expect([await count(), (await get(simulator, `/runs/${runId}`)) as unknown]).toMatchObject([1, { status: "completed" }]);
  simulator.clock.advance(30_000);
  expect(await count()).toBe(2);
  simulator.control.rerun({
    runId,
    jobs: [
      { name: "a", lagSeconds: 30 },
      { name: "b", ...lag },
    ],
  });
  const shown = await get(simulator, `/runs/${runId}/attempts/2/jobs`);
  expect(shown).toMatchObject({ total_count: 1, jobs: [{ status: "in_progress" }] });
  simulator.clock.advance(30_000);
  expect((await get(simulator, `/runs/${runId}/attempts/2/jobs`)).total_count).toBe(2);
  expect(() => simulator.control.rerun({ runId, jobs: [{ name: "c", ...lag }] })).toThrow("no job c that could lag");
});

test("ids, places in lists and created_at disagree, and a run is listed late", async () => {
  await using simulator = await startSimulator({ scenario: "empty", clockStart, clockSpeed: 0 });
  const at = (minute: string) => `2026-11-20T09:${minute}:00Z`;
  const add = (input: object) => simulator.control.addRun({ repository, ...input }).runId;
  const oldest = add({ createdAt: at("00") });
  const misplaced = add({ createdAt: at("40"), listedAs: at("10") });
  const middle = add({ createdAt: at("20"), runId: oldest - 1 });
  const late = add({ createdAt: at("30"), listedAfterSeconds: 60 });
  const ids = async (query = "") => ((await get(simulator, `/runs?per_page=10${query}`)).workflow_runs ?? []).map(({ id }) => id);
  expect(await ids()).toEqual([middle, misplaced, oldest]);
  expect(await ids("&created=>=2026-11-20T09:30:00Z")).toEqual([misplaced]);
  simulator.clock.advance(60_000);
  expect(await ids()).toEqual([late, middle, misplaced, oldest]);
  expect(() => add({ runId: oldest })).toThrow(`id ${oldest} is taken`);
});

test.each([1_000, 1_001])("%i runs of one second are made at once, of which a filter shows 1,000", async (count) => {
  await using simulator = await startSimulator({ scenario: "empty", clockStart, clockSpeed: 0 });
  const createdAt = "2026-11-20T09:00:00Z";
  const runs = simulator.control.addRuns({ repository, count, createdAt, jobs: [{ name: "build", bytes: 100 }] });
  expect(new Set(runs.map(({ runId }) => runId)).size).toBe(count);
  const seen = new Set<string>();
  let listed = 0;
  for (let page = 1; page <= 11; page++) {
    const list = await get(simulator, `/runs?created=${createdAt}..${createdAt}&per_page=100&page=${page}`);
    expect(list.total_count).toBe(count);
    listed += list.workflow_runs?.length ?? 0;
    for (const run of list.workflow_runs ?? []) seen.add(`${run.created_at} ${run.status}`);
  }
  expect([listed, [...seen]]).toEqual([1_000, [`${createdAt} completed`]]);
});
