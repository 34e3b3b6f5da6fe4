// `rebuild`: fills an empty database from the store.

import { type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";

import { openStore } from "@actions-archive/archive/open-store";
import { openSigner, parsePublicKey } from "@actions-archive/archive/seal/seal-key";
import { findArchiveIdentity } from "@actions-archive/archive/store/archive-identity";
import { errorMessage } from "@actions-archive/core/error-message";
import type { Database } from "@actions-archive/database/connection/open-database";
import {
  countRefusals,
  listRefusals,
  type RebuildProgress,
  type RebuildState,
} from "@actions-archive/database/rebuild/rebuild-progress";
import { findHead } from "@actions-archive/database/seal/seals";
import { rebuild } from "@actions-archive/loader/rebuild/rebuild";
import { type Command, InvalidArgumentError } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, createCommandLogger, exitIncomplete, print, printJson, stopOnSignal } from "../command-context.ts";
import { assertHost } from "../engine-config.ts";
import { openProgress, type ProgressReport } from "../progress.ts";

const maxListed = 1_000;

/** What no object of the store holds, most important first. */
const notKept = [
  "what no record and no seal holds yet: the ledger's change since the last seal, deliveries that waited, failed logs' reasons and tries; polling finds it again while GitHub has it",
  "windows of repositories that no seal has: without a sealing key none has them, and the next poll lists everything again",
  "how far running backfills were: start them again",
  "rate budgets, pauses and ETags",
  "retention and visibility of repositories, since when they are archived, and their problems: the next poll reads them",
  "when things were first seen",
];

const examples = `
Examples:
  actions-archive migrate && actions-archive rebuild
  actions-archive rebuild --json | jq .refused

Needs ARCHIVE_URL and a database that is migrated and empty; neither a queue nor GitHub. Stop the workers first. When it is stopped or
killed, run it again: it continues where it stopped. Afterwards start the workers; logs that are archived or absent are not requested again.

Ends with 0 when all objects were used, 3 when some were skipped (they are listed, and in archive.rebuild_refusals), 2 when the
database is not empty, 78 when the store is no archive, or another one's.`;

export function addRebuild(program: Command, context: CommandContext): void {
  program
    .command("rebuild")
    .option(
      "--public-key <file>",
      "the key that signed the newest seal, in PEM; without it that of SEAL_KEY, if there is one",
      parsePublicKeyFile,
    )
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async ({ publicKey: named, json }: { publicKey?: KeyObject; json?: true }) => {
      await using resources = new AsyncDisposableStack();
      const uses = ["DATABASE_URL", "ARCHIVE_URL"] as const;
      const { db, config } = await attachLedger(context, {
        command: "rebuild",
        resources,
        uses,
        mayCreate: Boolean(context.env["ARCHIVE_URL"]),
        maxConnections: 5,
      });
      const store = resources.use(await openStore(config));
      const identity = await findArchiveIdentity(store);
      if (identity !== undefined) assertHost(config, identity);
      const signal = stopOnSignal();
      const ownKey = config.SEAL_KEY ?? config.SEAL_KEY_FILE;
      const publicKey = named ?? (ownKey === undefined ? undefined : openSigner(ownKey).publicKey);
      const state = await rebuildWithProgress(context, (onProgress) =>
        rebuild({ db, store, log: createCommandLogger(context) }, { publicKey, signal, onProgress }),
      );
      const report = await makeReport(db, state, publicKey !== undefined);
      if (json) printJson(context, report);
      else print(context, formatReport(report));
      process.exitCode = report.refusals > 0 ? exitIncomplete : 0;
    });
}

async function rebuildWithProgress(
  context: CommandContext,
  run: (onProgress: (progress: RebuildProgress) => void) => Promise<RebuildState>,
): Promise<RebuildState> {
  using progress = openProgress(context.stderr);
  return await run((state) => progress.show(progressReport(state)));
}

function progressReport({ phase, position, objects_listed, objects_read, jobs, seconds }: RebuildProgress): ProgressReport {
  if (phase !== "records") return { done: Number(position), total: Number(position), unit: "seals", details: [phase] };
  const total = objects_listed ?? 0;
  const left = objects_read > 0 ? Math.round((seconds * (total - objects_read)) / objects_read) : undefined;
  return {
    done: objects_read,
    total,
    unit: "objects",
    details: [
      `${jobs} jobs`,
      `${Math.round(jobs / Math.max(seconds, 1e-3))} jobs a second`,
      ...(left === undefined ? [] : [`${left} s left`]),
    ],
  };
}

type Report = Awaited<ReturnType<typeof makeReport>>;

async function makeReport(db: Database, state: RebuildState, isVerified: boolean) {
  const { archive_id, objects_read, jobs, seconds, began_at, ended_at } = state;
  return {
    archive_id,
    began_at,
    ended_at,
    seconds: Math.round(seconds * 10) / 10,
    objects_read,
    jobs,
    jobs_per_second: Math.round(jobs / Math.max(seconds, 1e-3)),
    last_seal: (await findHead(db))?.sequence ?? null,
    /** Whether the newest seal's signature was checked; each earlier seal is named by its successor. */
    signature_checked: isVerified,
    refusals: await countRefusals(db),
    refused: await listRefusals(db, maxListed),
    not_kept: notKept,
  };
}

function formatReport(report: Report): string {
  const { archive_id, ended_at, seconds, objects_read, jobs, jobs_per_second, last_seal, signature_checked, refusals, refused } =
    report;
  const lines = [
    `Archive ${archive_id}: rebuilt ${ended_at?.toISOString() ?? ""}, ${jobs} jobs from ${objects_read} objects in ${seconds} s (${jobs_per_second} jobs a second).`,
    last_seal === null
      ? "No seal is in the store: no window of time is known to be covered, and the next poll lists everything again."
      : `The chain goes on after seal ${last_seal}${signature_checked ? "" : ", whose signature was not checked: neither --public-key nor SEAL_KEY was given. So no log is removed for what the seals say, policies of retention are to be set again, and released holds still hold"}.`,
    "",
    "Not in the store, and so not here:",
    ...report.not_kept.map((what) => `  - ${what}`),
  ];
  if (refusals > 0) {
    lines.push("", `${refusals} ${refusals === 1 ? "object was" : "objects were"} skipped; run verify:`);
    lines.push(...refused.map(({ object_key, problem }) => `  ${object_key}: ${problem}`));
    if (refused.length < refusals) lines.push("  … the rest is in archive.rebuild_refusals.");
  }
  return lines.join("\n");
}

function parsePublicKeyFile(path: string): KeyObject {
  try {
    return parsePublicKey(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InvalidArgumentError(errorMessage(error));
  }
}
