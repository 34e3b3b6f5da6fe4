// Load clients: four processes that send requests to GitHub on shared credentials, one of them with a clock two hours off.

import { fileURLToPath } from "node:url";

import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";

import { type Program, startProgram } from "./processes.ts";

const askGitHub = fileURLToPath(new URL("./ask-github.ts", import.meta.url));
const twoHoursMs = 2 * 60 * 60 * 1_000;

export type LoadClients = AsyncDisposable & {
  readonly programs: readonly Program[];
  /** Stops all processes. @returns how each ended. */
  readonly stop: () => Promise<{ readonly code: number | null; readonly stderr: string }[]>;
};

export type LoadClientsOptions = {
  readonly databaseUrl: string;
  /** Their working directory. */
  readonly folder: string;
  /** Concurrent requests of each process for each repository. */
  readonly atOnce: number;
  /** Pause after each answer. Undefined: as fast as the budget allows. */
  readonly restMs?: number;
};

/** Starts the clients, on the simulator's token or on all installations of its App. */
export async function startLoadClients(
  { apiUrl, token, app, world }: Simulator,
  options: LoadClientsOptions,
): Promise<LoadClients> {
  const { databaseUrl, folder, atOnce, restMs = 0 } = options;
  await using stack = new AsyncDisposableStack();
  const credentials =
    app === undefined ? { kind: "token", token } : { kind: "app", appId: String(app.id), privateKey: app.privateKey };
  const isSeen = ({ owner }: (typeof world.repositories)[number]) => app === undefined || app.installationOf(owner.login);
  const repositories = world.repositories.filter(isSeen).map(fullNameOf);
  const programs = [0, 0, 0, twoHoursMs].map((clockShiftMs) => {
    const order = { databaseUrl, apiUrl, credentials, repositories, atOnce, restMs, clockShiftMs };
    return stack.use(startProgram(askGitHub, [JSON.stringify(order)], { cwd: folder, settings: {} }));
  });
  const started = stack.move();
  return {
    programs,
    async stop() {
      for (const program of programs) program.stop("SIGTERM");
      const ends = await Promise.all(programs.map(({ ended }) => ended));
      return ends.map(({ code, stderr }) => ({ code, stderr }));
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** @returns the requests to the API, optionally of one credential. */
export function requestsOf({ journal }: Simulator, credential?: string): readonly JournalEntry[] {
  const asked = journal.entries({ origin: "api" });
  return asked.filter((entry) => credential === undefined || entry.credential === credential);
}

/** @returns requests of a paused credential that arrived more than a second after the pause began. */
export function startedAfter(simulator: Simulator, { credential, finishedAt }: JournalEntry): readonly JournalEntry[] {
  const deadline = (finishedAt?.getTime() ?? 0) + 1_000;
  return requestsOf(simulator, credential).filter(({ receivedAt }) => receivedAt.getTime() > deadline);
}
