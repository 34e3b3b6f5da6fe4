// Shuts a system down like an operator would, and checks the invariants on all that it leaves.

import { readdir } from "node:fs/promises";

import type { ArchiveJournal } from "@actions-archive/testkit/invariants/archive-journal";
import type { Evidence, ProcessUse } from "@actions-archive/testkit/invariants/evidence";
import { checkInvariants, type CheckResult } from "@actions-archive/testkit/invariants/invariants";
import { folderSource, s3Source } from "@actions-archive/testkit/invariants/object-source";
import { stopWatchingRows } from "@actions-archive/testkit/invariants/watch-rows";
import { typesWithNumbers } from "@actions-archive/testkit/own-postgres";
import { Client } from "pg";

import type { Ended } from "../processes.ts";
import type { System } from "./system.ts";

/** Memory limit of a worker: Node with its modules takes 100 MB; logs in flight, their spool and a batch's rows take the rest. */
const peakCapKb = 400 * 1_024;

export type CheckedSystem = {
  readonly verdict: CheckResult;
  /** Of `start --once`, the full pass. */
  readonly pass: Ended;
  /** Exit codes after SIGTERM, by name of the worker. */
  readonly ends: Readonly<Record<string, number | null>>;
};

/** `fresh` is given for a quiescent system only: the number of open files means nothing in any other. */
export type CheckOptions = Pick<Evidence, "since" | "hadFaults" | "fresh"> & {
  readonly journal: ArchiveJournal;
  /** Texts that the queue held earlier. */
  readonly queue?: readonly string[];
};

/** Stops every worker, runs one full pass, seals, verifies, and checks the invariants. The engines must be up. */
export async function checkSystem(system: System, options: CheckOptions): Promise<CheckedSystem> {
  await using stack = new AsyncDisposableStack();
  const { simulator, postgres, front, replicas, cli } = system;
  const held = (await system.redis?.dump()) ?? [];
  const ends = await Promise.all(replicas.map(async (replica) => [replica.name, (await replica.stop())?.code ?? null] as const));
  const pass = await cli("start", "--once", "--max-wait", "60");
  const sealed = await cli("seal");
  if (sealed.code !== 0) throw new Error(`seal ended with ${sealed.code}: ${sealed.stdout}${sealed.stderr}`);
  const client = new Client({ connectionString: postgres.directUrl, types: typesWithNumbers });
  await client.connect();
  stack.defer(() => client.end());
  await stopWatchingRows(client);
  const verified = await cli("verify", "--json", "--deep", "--against-database");
  const { journal, since, hadFaults, fresh } = options;
  journal.drain();
  const verdict = await checkInvariants({
    simulator,
    journal,
    client,
    objects: front === undefined ? folderSource(system.workspace.archive) : stack.use(s3Source(front.s3)),
    since,
    hadFaults,
    ...(fresh === undefined ? {} : { fresh }),
    outputs: await Promise.all(replicas.map(async (each) => ({ name: each.name, text: await each.output() }))),
    canaries: system.secrets,
    queue: [...(options.queue ?? []), ...held],
    processes: usesOf(system).map((use) => (fresh === undefined ? { ...use, fds: [] } : use)),
    peakCapKb,
    leftovers: (await Promise.all(system.spools.map((path) => readdir(path).catch(() => [])))).flat(),
    verify: { code: verified.code, report: parse(verified.stdout) },
  });
  return { verdict, pass, ends: Object.fromEntries(ends) };
}

const minSamples = 60;

/** @returns the resource use of each lifetime of each worker. Open files are included only of a lifetime that ended in quiescence. */
export function usesOf({ replicas }: System): ProcessUse[] {
  return replicas.flatMap(({ name, lifetimes }) =>
    lifetimes.map(({ samples, sentSignal }, index) => ({
      name: `${name}, lifetime ${index + 1}`,
      rssKb: samples.map(({ rssKb }) => rssKb),
      peakKb: Math.max(0, ...samples.map(({ peakKb }) => peakKb)),
      fds:
        sentSignal === "SIGTERM" && index === lifetimes.length - 1 && samples.length > minSamples
          ? samples.map(({ fds }) => fds)
          : [],
    })),
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
