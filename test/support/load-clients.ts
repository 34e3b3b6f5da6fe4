// Four processes that ask GitHub on shared credentials, one of them with a clock that is two hours off.

import { fileURLToPath } from "node:url";

import type { JournalEntry } from "@actions-archive/github-simulator/http/journal";
import type { Simulator } from "@actions-archive/github-simulator/simulator";
import { fullNameOf } from "@actions-archive/github-simulator/world/world";

import { type Program, startProgram } from "./processes.ts";

const askGitHub = fileURLToPath(new URL("./ask-github.ts", import.meta.url));
const twoHoursMs = 2 * 60 * 60 * 1_000;

export type LoadClients = AsyncDisposable & {
  readonly programs: readonly Program[];
  /** Ends all of them. @returns what they ended with. */
  readonly stop: () => Promise<{ readonly code: number | null; readonly stderr: string }[]>;
};

export type LoadClientsOptions = {
  readonly databaseUrl: string;
  /** Where they run. */
  readonly folder: string;
  /** How many requests at once, for each process and repository. */
  readonly atOnce: number;
  /** How long each of those waits after an answer. None: as fast as the budget lets it. */
  readonly restMs?: number;
};

/** Starts them: on the token, or on all installations of the simulator's App. */
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

/** What was asked of the API, by the credential where one is given. */
export function requestsOf({ journal }: Simulator, credential?: string): readonly JournalEntry[] {
  const asked = journal.entries({ origin: "api" });
  return asked.filter((entry) => credential === undefined || entry.credential === credential);
}

/** Requests of the credential that was told to wait which arrived more than a second after that. */
export function startedAfter(simulator: Simulator, { credential, finishedAt }: JournalEntry): readonly JournalEntry[] {
  const deadline = (finishedAt?.getTime() ?? 0) + 1_000;
  return requestsOf(simulator, credential).filter(({ receivedAt }) => receivedAt.getTime() > deadline);
}
