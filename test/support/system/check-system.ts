// Ends a system as an operator would, and lets the judge look at all that it leaves.

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

/** Of a worker: Node with its modules is 100 MB; logs in flight, their spool and the rows of a batch are the rest. */
const peakCapKb = 400 * 1_024;

export type CheckedSystem = {
  readonly verdict: CheckResult;
  /** Of `start --once`. */
  readonly pass: Ended;
  /** How each worker ended at SIGTERM: exit codes by name. */
  readonly ends: Readonly<Record<string, number | null>>;
};

/** `fresh` is of a system that has come to rest: of no other it says anything how many files are open. */
export type CheckOptions = Pick<Evidence, "since" | "hadFaults" | "fresh"> & {
  readonly journal: ArchiveJournal;
  /** What the queue held before. */
  readonly queue?: readonly string[];
};

/** Stops every worker, runs one full pass, seals, verifies, and judges. The engines must be whole. */
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

const longLifeSamples = 60;

/** Of each life of each worker. Its open files are back where they were only where it saw the calm. */
export function usesOf({ replicas }: System): ProcessUse[] {
  return replicas.flatMap(({ name, lives }) =>
    lives.map(({ samples, asked }, index) => ({
      name: `${name}, life ${index + 1}`,
      rssKb: samples.map(({ rssKb }) => rssKb),
      peakKb: Math.max(0, ...samples.map(({ peakKb }) => peakKb)),
      fds:
        asked === "SIGTERM" && index === lives.length - 1 && samples.length > longLifeSamples
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
