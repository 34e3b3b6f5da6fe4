// `verify`: proves offline that nothing in the archive was changed, removed or added.

import { randomInt } from "node:crypto";

import { openStoreForReading } from "@actions-archive/archive/open-store";
import { retryingStore } from "@actions-archive/archive/store/retrying-store";
import type { Store } from "@actions-archive/archive/store/store";
import { verifyArchive, type VerifyResult } from "@actions-archive/archive/verify/verify-archive";
import type { ExpectedHead } from "@actions-archive/archive/verify/verify-chain";
import type { Environment } from "@actions-archive/core/config";
import { PermanentError } from "@actions-archive/core/errors";
import type { Logger } from "@actions-archive/core/logger";
import { archiveIdentityKey, probePrefix } from "@actions-archive/core/object-key";
import { settings } from "@actions-archive/core/settings";
import { openLedger } from "@actions-archive/database/ledger/open-ledger";
import { type Command, InvalidArgumentError } from "commander";

import { type CommandContext, createCommandLogger, print, printJson, stopOnSignal } from "../command-context.ts";
import { loadEngineConfig } from "../engine-config.ts";
import { parseInstant } from "../parse-option.ts";
import { openProgress, type Progress } from "../progress.ts";
import { findPublicKeys } from "../verify/public-keys.ts";
import { verifyDatabase } from "../verify/verify-database.ts";
import { type Verified, verifyDocument, verifyText } from "../verify/verify-report.ts";
import { openEngineEnvironment } from "../with-engines.ts";

type VerifyOptions = {
  since?: Date;
  until?: Date;
  deep?: true;
  sample?: number;
  publicKey?: string[];
  againstDatabase?: true;
  expectHead?: ExpectedHead;
  json?: true;
};

const exitTampered = 1;

const examples = `
Examples:
  actions-archive verify --public-key seal-key.pub
  actions-archive verify --deep --expect-head 812:5d1c7c0a2f0b…
  actions-archive verify --since 30 --sample 5%
  ARCHIVE_URL=file:///mnt/copy actions-archive verify --public-key seal-key.pub --json

Needs the bucket, or a copy of it as file:///, and the public key: no database, no queue, no GitHub. docs/verify.md says what is
proven and what is not. Without --deep or --sample, only the size and metadata of logs are compared with their records.

Ends with 0 when nothing was found, 1 when tampering was found, 2 when the archive could not be read.`;

export function addVerify(program: Command, context: CommandContext): void {
  program
    .command("verify")
    .option(
      "--since <date>",
      "check only entries of seals since then: a date, or days before now; the complete chain is verified",
      parseInstant,
    )
    .option("--until <date>", "check only entries of seals before then", parseInstant)
    .option("--deep", "read every log from end to end")
    .option("--sample <percent>", "read this share of the logs from end to end, chosen at random", parsePercent)
    .option("--public-key <file>", "a public key of the chain, in PEM; may be given several times", collect)
    .option("--against-database", "also compare the database's rows with the records and the seals")
    .option("--expect-head <sequence:sha256>", "the head of the chain as recorded elsewhere", parseHead)
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async (options: VerifyOptions) => {
      const verified = await verify(context, options);
      if (options.json) printJson(context, verifyDocument(verified));
      else print(context, verifyText(verified));
      process.exitCode = verified.result.findings.tamperCount > 0 ? exitTampered : 0;
    });
}

async function verify(context: CommandContext, options: VerifyOptions): Promise<Verified> {
  const { since, until, expectHead: expectedHead } = options;
  const sealIntervalSeconds = settings.SEAL_INTERVAL_SECONDS.parse(context.env["SEAL_INTERVAL_SECONDS"] || undefined);
  const depth = options.deep ? 100 : (options.sample ?? 0);
  const signal = stopOnSignal();
  await using resources = new AsyncDisposableStack();
  const log = createCommandLogger(context);
  const uses = ["ARCHIVE_URL" as const, ...(options.againstDatabase ? (["DATABASE_URL"] as const) : [])];
  const { env } = resources.use(await openEngineEnvironment(context.env, { dir: context.dir, log, mode: "attach", uses }));
  const keys = await findPublicKeys(options.publicKey ?? [], context);
  const store = retryingStore(resources.use(await openStoreForReading(loadEngineConfig(env))));
  using progress = openProgress(context.stderr);
  const result = await verifyArchive(store, {
    keys,
    span: { since, until },
    isDeep: () => randomInt(2 ** 32) / 2 ** 32 < depth / 100,
    expectedHead,
    sealIntervalSeconds,
    onProgress: (report) => progress.show({ ...report, details: [] }),
    signal,
  });
  if (result.chain.seen.size === 0 && !expectedHead) await refuseUnsealed(store, result);
  const rows = options.againstDatabase
    ? await openAndVerify(env, { store, result, sealIntervalSeconds, progress, signal, log })
    : undefined;
  return {
    result,
    url: store.url,
    keys,
    depth,
    hasExpectedHead: expectedHead !== undefined,
    hasSpan: since !== undefined || until !== undefined,
    rows,
  };
}

type OpenRequest = {
  readonly store: Store;
  readonly result: VerifyResult;
  readonly sealIntervalSeconds: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly log: Logger;
};

/** @returns the number of jobs whose rows were compared */
async function openAndVerify(env: Environment, { progress, log, ...request }: OpenRequest): Promise<number> {
  const url = loadEngineConfig(env).DATABASE_URL.href;
  await using ledger = await openLedger({ url, applicationName: "actions-archive verify", maxConnections: 2, log });
  const onJobs = (done: number) => progress.show({ done, total: done, unit: "jobs", details: ["rows"] });
  // Awaited here: the ledger is closed when this function returns.
  return await verifyDatabase({ ...request, db: ledger.db, onJobs });
}

// An archive without seals cannot be verified, unless it is empty.
async function refuseUnsealed(store: Store, { findings }: VerifyResult): Promise<void> {
  for await (const { key } of store.list("")) {
    if (key === archiveIdentityKey || key.startsWith(probePrefix)) continue;
    throw new PermanentError(
      "store/refused",
      `There is no seal in ${store.url}, so that nothing in it can be verified: set SEAL_KEY_FILE for the loader, which then seals every hour, or run actions-archive seal.`,
    );
  }
  findings.notice("unsealed", store.url, "there is no seal, and nothing to seal");
}

function parsePercent(text: string): number {
  const percent = Number(/^(\d{1,3}(?:\.\d+)?)%?$/.exec(text)?.[1]);
  if (!(percent > 0 && percent <= 100)) throw new InvalidArgumentError("must be a share such as 5%, above 0 and up to 100");
  return percent;
}

function parseHead(text: string): ExpectedHead {
  const [, sequence, sha256] = /^([1-9]\d{0,11}):([0-9a-f]{64})$/i.exec(text) ?? [];
  if (sequence === undefined || sha256 === undefined)
    throw new InvalidArgumentError("must be a seal's number and its hash, SEQUENCE:SHA256, as verify prints it");
  return { sequence: Number(sequence), sha256: sha256.toLowerCase() };
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
