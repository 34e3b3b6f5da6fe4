// The credential is refused and replaced; a repository becomes inaccessible and returns, or is renamed and transferred during a read.

import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { expect, test } from "vitest";

import { openSmallSystem, type SmallSystem } from "../support/system/small-system.ts";
import { sleepSeconds, untilArchived, untilDownloading } from "../support/system/waits.ts";

const world = { runsPerDay: 6, days: 3 };

test("the token is revoked in mid-work, and each worker is started again with a new one", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  const { simulator, replicas } = system;
  simulator.faults.add({ origin: "log", times: "forever", delayMs: 300 });
  system.startAll();
  await untilDownloading(system);
  const refused = simulator.journal.next({ status: 401 });
  simulator.control.revokeToken({ token: simulator.token });
  await refused;
  const addedJobs = system.addRun();
  await sleepSeconds(20);
  const refusals = simulator.journal.entries({ status: 401 }).length;
  expect(await decidedWithoutAccess(system)).toEqual([{ jobs: 0 }]);
  const token = `ghp_${"0123456789ab".repeat(3)}`;
  simulator.control.addToken({ token });
  system.configure({ GITHUB_TOKEN: token });
  await Promise.all(
    replicas.map(async (replica) => {
      await replica.stop();
      replica.start();
    }),
  );
  const recovered = await untilArchived(system, addedJobs[0], 400);
  const settled = await system.settled(400);
  const { verdict } = await system.expectWhole();
  await annotate(
    `${refusals} requests were refused in 20 s, no log got a state from them; with a new token a job that completed meanwhile was archived after ${recovered} s (refused polls are retried 5 min later), all ${verdict.jobs} jobs ${settled.toFixed(1)} s later`,
    "F18",
  );
});

test("every token of an App is withdrawn, four times: each process gets a new one and goes on", async ({ annotate }) => {
  await using system = await openSmallSystem({
    world: { ...world, app: { id: 7 } },
    // The owner of a fork that sent a pull request has not installed the App.
    settings: (_name, { app }) => ({
      ARCHIVE_REPOSITORIES: (app?.installations ?? []).map(({ owner }) => `${owner.login}/*`).join(","),
    }),
  });
  const { simulator } = system;
  simulator.faults.add({ origin: "log", times: "forever", delayMs: 200 });
  system.startAll();
  await untilDownloading(system);
  const [installation] = simulator.app?.installations ?? [];
  const minted = () => simulator.journal.entries({ method: "POST", url: "/access_tokens", status: 201 }).length;
  const before = minted();
  const withdrawals = 4;
  let addedJobs: readonly number[] = [];
  for (let times = 0; times < withdrawals; times++) {
    const refused = simulator.journal.next({ status: 401 });
    simulator.control.revokeInstallation({ installationId: installation?.id ?? 0 });
    addedJobs = system.addRun();
    await refused;
    await sleepSeconds(3);
  }
  const recovered = await untilArchived(system, addedJobs[0]);
  const settled = await system.settled();
  const tokens = minted() - before;
  expect(tokens).toBeGreaterThanOrEqual(withdrawals);
  // Two fetchers and two log-workers hold one token each.
  expect(tokens).toBeLessThanOrEqual(withdrawals * 4);
  const { verdict } = await system.expectWhole();
  await annotate(
    `${withdrawals} withdrawals: ${tokens} new tokens over 4 processes; a job of the last withdrawal was archived after ${recovered} s, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later`,
    "F18",
  );
});

test("a repository is out of sight for 20 s in mid-work: nothing of it is called gone", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  const { simulator } = system;
  const [repository = ""] = simulator.world.repositories.map(fullNameOf);
  simulator.faults.add({ origin: "log", times: "forever", delayMs: 300 });
  system.startAll();
  await untilDownloading(system);
  simulator.control.hideRepository({ repository });
  await sleepSeconds(20);
  // States that were recorded meanwhile are compared with the oracle at the end.
  const refused = await system.postgres.ask("select count(*)::int as logs from audit.jobs where log_reason = 'no_access'");
  simulator.control.hideRepository({ repository, hidden: false });
  const addedJobs = simulator.control.addRun({ repository, jobs: [{ name: "after" }] }).jobIds;
  const { code, stdout } = await system.cli("retry", "--reason", "no_access", "--json");
  expect({ code, stdout }).toMatchObject({ code: 0 });
  const recovered = await untilArchived(system, addedJobs[0]);
  // A refused poll is repeated five minutes later. Webhooks report which attempts complete meanwhile.
  const settled = await system.settled(400);
  const { verdict } = await system.expectWhole();
  await annotate(
    `${String(refused[0]?.["logs"])} logs failed as no_access and were retried, none was recorded as deleted; a job added on its return was archived after ${recovered} s, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later`,
    "N3",
  );
});

test("a repository is renamed, transferred and renamed again, each between a link and its log", async ({ annotate }) => {
  await using system = await openSmallSystem({ world });
  const { simulator } = system;
  const { control, journal } = simulator;
  simulator.faults.add({ origin: "log", times: "forever", delayMs: 500 });
  system.startAll();
  await untilDownloading(system);
  let [repository = ""] = simulator.world.repositories.map(fullNameOf);
  const moves = [{ name: "renamed" }, { owner: "another-owner" }, { name: "renamed-again" }];
  const addedJobs: number[] = [];
  for (const move of moves) {
    const { jobIds } = control.addRun({ repository, jobs: [{ name: "moved" }] });
    addedJobs.push(...jobIds);
    // Its link is issued, and the log host waits half a second before it sends the log.
    await journal.next({ origin: "api", url: `/actions/jobs/${jobIds[0]}/logs`, status: 302 });
    control.moveRepository({ repository, ...move });
    const [owner = "", name = ""] = repository.split("/");
    repository = `${move.owner ?? owner}/${move.name ?? name}`;
  }
  for (const id of addedJobs) await untilArchived(system, id);
  const settled = await system.settled();
  const { verdict } = await system.expectWhole();
  const names = await system.postgres.ask("select distinct repository from audit.jobs where job_id = any ($1)", [addedJobs]);
  expect(names).toEqual([{ repository }]);
  await annotate(
    `3 moves, each with a log on its way: all three archived, all ${verdict.jobs} jobs ${settled.toFixed(1)} s later, under the last name`,
    "F37",
  );
});

/** @returns logs whose state was decided by an answer that only refuses the credential. */
function decidedWithoutAccess({ postgres }: SmallSystem): Promise<readonly Record<string, unknown>[]> {
  return postgres.ask(
    "select count(*)::int as jobs from audit.jobs where log_state = 'failed' or log_reason in ('deleted', 'expired')",
  );
}
