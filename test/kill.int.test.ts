// Kills every process of `start`, including Postgres, with SIGKILL while it works, repeatedly; then one pass verifies the archive.

import { mkdir, readdir, readFile, watch } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";

import { createLogger } from "@actions-archive/core/logger";
import { openEngines } from "@actions-archive/embedded/engine-folder";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { listFiles } from "@actions-archive/testkit/invariants/object-source";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { z } from "zod";

import { checkFolder } from "./support/check-folder.ts";
import { findProcesses, killEverything } from "./support/kill.ts";
import { mainOf, type Program, runCli, startProgram } from "./support/processes.ts";
import { githubSettings, openWorkspace } from "./support/workspace.ts";

// oxlint-disable-next-line node/no-process-env -- the tester chooses the duration
const { KILL_ROUNDS = "3", KILL_SEED = "1" } = process.env;
const rounds = Number(KILL_ROUNDS);

/** What `start` is doing when it is killed, in turn. */
const phases = ["making the database", "downloading", "listing", "storing", "starting Postgres"] as const;
type Phase = (typeof phases)[number];

const Engines = z.object({ pid: z.int().optional() });

type Scene = { readonly simulator: Simulator; readonly program: Program; readonly engines: string; readonly count: number };

/** Resolves during `phase`: `count` requests or objects after its begin. */
async function reach(phase: Phase, { simulator, program, engines, count }: Scene): Promise<void> {
  const { journal } = simulator;
  const since = journal.entries().at(-1)?.sequence ?? 0;
  const requests = (filter: Parameters<typeof journal.entries>[0]) => journal.entries({ ...filter, after: since }).length;
  const until = (isReached: () => boolean | Promise<boolean>) =>
    vi.waitFor(async () => expect(await isReached()).toBe(true), { timeout: 90_000, interval: 5 });
  switch (phase) {
    case "making the database":
      return until(async () => (await readdir(join(engines, "postgres")).catch(() => [])).length > 0);
    case "starting Postgres":
      return until(async () => {
        const text = await readFile(join(engines, "engines.json"), "utf8");
        return Engines.parse(JSON.parse(text)).pid === program.pid;
      });
    case "listing":
      return until(() => requests({ origin: "api", url: "/actions/runs" }) >= count);
    case "downloading":
      return until(() => requests({ origin: "log" }) >= count * 2);
    case "storing":
      return untilStored(join(engines, "archive"), count);
  }
}

/** Resolves once `count` more logs are in the store. The record of the last one is probably not written yet. */
async function untilStored(archive: string, count: number): Promise<void> {
  await mkdir(archive, { recursive: true });
  let left = count;
  for await (const { eventType, filename } of watch(archive, { recursive: true, signal: AbortSignal.timeout(90_000) })) {
    if (eventType === "rename" && filename?.endsWith(".log.zst") && --left === 0) return;
  }
}

/** A name in the store must never lead to a partial object, at any time. */
async function expectWhole(archive: string): Promise<void> {
  const broken: string[] = [];
  for (const file of await listFiles(archive)) {
    if (file.startsWith(".unfinished/")) continue;
    try {
      const bytes = await readFile(join(archive, file));
      if (file.endsWith(".log.zst")) zstdDecompressSync(bytes);
      else JSON.parse(bytes.toString("utf8"));
    } catch (error) {
      broken.push(`${file}: ${String(error)}`);
    }
  }
  expect(broken).toEqual([]);
}

// The pass has ended, and its embedded engines have stopped.
async function checkEmbedded(simulator: Simulator, dir: string) {
  const log = createLogger("test", "error");
  await using engines = await openEngines({ dir, log, need: { database: true, queue: false, archive: false } });
  return await checkFolder({ simulator, archive: join(dir, "archive"), databaseUrl: engines.databaseUrl, hadFaults: true });
}

test.skipIf(process.platform !== "linux")(
  `after ${rounds} times kill -9 of everything, one pass proves all, nothing doubled or torn (Linux only)`,
  { timeout: 60_000 + rounds * 90_000 },
  async ({ annotate }) => {
    await using workspace = await openWorkspace();
    await using simulator = await startSimulator({
      repositories: 4,
      days: 2,
      runsPerDay: 4,
      jobsPerRun: 3,
      logs: { medianBytes: 20_000, tailShareOfLogs: 0.03, tailShareOfBytes: 0.5, capBytes: 4_000_000 },
      rateLimits: { perHour: 1_000_000 },
    });
    const slow = [
      simulator.faults.add({ origin: "log", times: "forever", delayMs: 200 }),
      simulator.faults.add({ origin: "api", path: "/repos/*/actions/runs", times: "forever", delayMs: 100 }),
    ];
    const repositories = simulator.world.repositories.slice(0, 4).map(fullNameOf);
    const engines = join(workspace.folder, ".actions-archive");
    const archive = join(engines, "archive");
    const settings = {
      ...githubSettings(simulator),
      ARCHIVE_REPOSITORIES: repositories.join(","),
      SPOOL_DIR: join(workspace.folder, "spool"),
      POLL_INTERVAL_SECONDS: "1",
      DOWNLOAD_CONCURRENCY: "2",
    };
    const options = { cwd: workspace.folder, settings };
    const counts = fc.sample(fc.integer({ min: 3, max: 20 }), { numRuns: rounds, seed: Number(KILL_SEED) });
    const lines: string[] = [];
    for (const [round, count] of counts.entries()) {
      const phase = phases[round % phases.length] ?? "downloading";
      // Adds work in every round.
      const jobs = ["a", "b", "c", "d"].map((name) => ({ name: `round ${round} ${name}` }));
      for (const repository of repositories) simulator.control.addRun({ repository, jobs });
      const startedAt = performance.now();
      await using program = startProgram(mainOf("cli"), ["start"], { ...options, isGroupLeader: true });
      await reach(phase, { simulator, program, engines, count });
      const inFlight = simulator.journal.entries().filter(({ finishedAt }) => finishedAt === undefined).length;
      const seconds = (performance.now() - startedAt) / 1000;
      const killed = await killEverything(program.pid, workspace.folder);
      expect((await program.ended).signal).toBe("SIGKILL");
      lines.push(`${phase} (${count}) after ${seconds.toFixed(1)} s: ${killed} killed, ${inFlight} requests in flight`);
      if (phase !== "making the database") await expectWhole(archive);
    }
    for (const { id } of slow) simulator.faults.clear(id);

    const startedAt = performance.now();
    const { code, stdout, stderr } = await runCli(["start", "--once", "--json"], options);

    const seconds = (performance.now() - startedAt) / 1000;
    expect(code, `${stdout}\n${stderr}`).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ complete: true, owed: [], given_up: [] });
    const downloads = simulator.journal.entries({ origin: "log", status: 200 }).length;
    const { violations, jobs, archived } = await checkEmbedded(simulator, engines);
    const unfinished = (await listFiles(archive)).filter((file) => file.startsWith(".unfinished/")).length;
    lines.push(
      `then one pass of ${seconds.toFixed(1)} s: ${jobs} jobs, ${archived} archived, ${downloads} downloads, ${unfinished} unfinished files left for the sweep`,
    );
    await annotate(lines.join("\n"));
    expect(violations).toEqual([]);
    expect(await listFiles(join(workspace.folder, "spool"))).toEqual([]);
    expect(await findProcesses(-1, workspace.folder)).toEqual([]);
  },
);
