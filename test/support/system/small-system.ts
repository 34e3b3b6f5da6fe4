// A system on a small simulated GitHub, for tests of one fault: a hundred jobs to catch up with, and more on demand.

import type { SimulatorOptions } from "@actions-archive/github-simulator/options";
import { type Simulator, startSimulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";
import { ArchiveJournal } from "@actions-archive/testkit/invariants/archive-journal";
import { watchRows } from "@actions-archive/testkit/invariants/watch-rows";
import { Client } from "pg";
import { expect, vi } from "vitest";

import { type CheckedSystem, checkSystem } from "./check-system.ts";
import { openSystem, type System, type SystemOptions } from "./system.ts";
import { untilSettled, watchProcesses } from "./watch.ts";

export type SmallSystem = System & {
  readonly journal: ArchiveJournal;
  readonly startAll: () => void;
  /** Adds a run of two jobs that have just ended, announced by webhooks. @returns their ids. */
  readonly addRun: () => readonly number[];
  /** Waits until all due work of all repositories is done. @returns seconds. */
  readonly settled: (limitSeconds?: number) => Promise<number>;
  /** Like `settled`, except for these jobs, whose logs must end as `failed`. */
  readonly settledBut: (jobIds: readonly number[]) => Promise<void>;
  /** The state of a job's log in audit.jobs. */
  readonly logStateOf: (jobId: number) => Promise<unknown>;
  /** After `settled`: shuts the system down, and expects no violation, exit code 0 of every worker, and a complete pass. */
  readonly expectWhole: () => Promise<CheckedSystem>;
};

export type SmallSystemOptions = Partial<Pick<SystemOptions, "queue" | "store" | "replicas" | "settings">> & {
  readonly world?: SimulatorOptions;
};

export async function openSmallSystem(options: SmallSystemOptions = {}): Promise<SmallSystem> {
  await using stack = new AsyncDisposableStack();
  const { queue = "redis", store = "folder", replicas = 2, settings } = options;
  const system = stack.use(
    await openSystem({ queue, store, replicas, startSimulator: smallWorld(options.world), settings: withDefaults(settings) }),
  );
  const { simulator, postgres } = system;
  const journal = new ArchiveJournal(simulator);
  const client = new Client({ connectionString: postgres.directUrl });
  await client.connect();
  await watchRows(client);
  await client.end();
  stack.use(watchProcesses(system));
  let added = 0;
  const repositories = simulator.world.repositories.map(fullNameOf);
  const opened = stack.move();
  return {
    ...system,
    journal,
    startAll: () => system.replicas.forEach((replica) => replica.start()),
    addRun: () => {
      const repository = repositories[added++ % repositories.length] ?? "";
      return simulator.control.addRun({ repository, jobs: [{ name: "late" }, { name: "later" }] }).jobIds;
    },
    settled: async (limitSeconds = 240) => untilSettled(system, { jobs: await completedJobs(simulator), limitSeconds }),
    settledBut: (jobIds) => untilOthersSettled(system, jobIds),
    logStateOf: async (jobId) => {
      const rows = await postgres.ask("select log_state from audit.jobs where job_id = $1", [jobId]);
      return rows[0]?.["log_state"];
    },
    async expectWhole() {
      const checked = await checkSystem(system, { journal, since: undefined, hadFaults: true });
      const { verdict, pass, ends } = checked;
      expect(verdict.violations).toEqual([]);
      expect({ pass: pass.code, printed: pass.stdout }).toEqual({ pass: 0, printed: expect.stringContaining("Complete.") });
      expect(ends).toEqual(Object.fromEntries(system.replicas.map(({ name }) => [name, 0])));
      return checked;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function smallWorld(world: SimulatorOptions = {}): SystemOptions["startSimulator"] {
  return ({ url, secret }) =>
    startSimulator({
      repositories: 4,
      runsPerDay: 4,
      days: 2,
      jobsPerRun: 3,
      logs: { medianBytes: 8_000, tailShareOfLogs: 0 },
      rateLimits: { perHour: 1_000_000 },
      ...world,
      webhook: { url, secret, ...world.webhook },
    });
}

function withDefaults(settings: SystemOptions["settings"]): NonNullable<SystemOptions["settings"]> {
  return (name, simulator) => ({
    ARCHIVE_REPOSITORIES: simulator.world.repositories.map(fullNameOf).join(","),
    POLL_INTERVAL_SECONDS: "2",
    SEAL_INTERVAL_SECONDS: "10",
    ...settings?.(name, simulator),
  });
}

async function untilOthersSettled({ simulator, postgres }: System, jobIds: readonly number[]): Promise<void> {
  const wanted = (await completedJobs(simulator)) - jobIds.length;
  await vi.waitFor(
    async () => {
      const rows = await postgres.ask(
        `select count(*) filter (where log_state in ('archived', 'absent') and job_id <> all ($1)) as settled,
          count(*) filter (where log_state = 'failed' and job_id = any ($1)) as failed
        from audit.jobs`,
        [jobIds],
      );
      expect(rows).toEqual([{ settled: wanted, failed: jobIds.length }]);
    },
    { timeout: 240_000, interval: 500 },
  );
}

async function completedJobs(simulator: Simulator): Promise<number> {
  const { jobs } = await simulator.control.world({});
  return jobs.filter(({ expected }) => expected !== undefined).length;
}
