// `seal`: one seal now, also when nothing changed.

import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { openArchive } from "@actions-archive/archive/open-archive";
import { parsePublicKey } from "@actions-archive/archive/seal-key";
import { ActionsArchiveError, ConfigError, PermanentError } from "@actions-archive/core/errors";
import { githubHost } from "@actions-archive/core/settings";
import { findIdentity } from "@actions-archive/database/identity";
import { type PublishedSeal, sealArchive, type Sealer } from "@actions-archive/loader/seal-archive";
import { openSealer } from "@actions-archive/loader/start-sealing";
import { type Command, InvalidArgumentError } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, createCommandLogger, print, printJson } from "../command-context.ts";

type SealCommandOptions = { nextKey?: string; json?: true };

const examples = `
Examples:
  actions-archive seal
  actions-archive seal --json | jq -r '"\\(.sequence):\\(.sha256)"'
  actions-archive seal --next-key new-key.pub

The loader seals by itself, every SEAL_INTERVAL_SECONDS. Keep the head that this prints where nobody who can write to the store can:
verify --expect-head finds by it what was cut off the end of the chain.
A new key: openssl genpkey -algorithm ed25519 -out new-key.pem; openssl pkey -in new-key.pem -pubout -out new-key.pub; then
seal --next-key new-key.pub with the old key, and SEAL_KEY_FILE=new-key.pem for every loader from then on.`;

export function addSeal(program: Command, context: CommandContext): void {
  program
    .command("seal")
    .description("make one seal now, also when nothing changed")
    .option("--next-key <file>", "public key (PEM) that seals from the next seal on; announced in this one")
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async ({ nextKey: nextKeyFile, json }: SealCommandOptions) => {
      const nextKey = nextKeyFile === undefined ? undefined : await readPublicKey(nextKeyFile);
      await using resources = new AsyncDisposableStack();
      const { db, config } = await attachLedger(context, { command: "seal", resources, uses: ["DATABASE_URL", "ARCHIVE_URL"] });
      const host = githubHost(config.GITHUB_API_URL, config.GITHUB_HOST);
      const identity = await findIdentity(db);
      if (identity === undefined)
        throw new PermanentError("usage/invalid", "Nothing is archived yet, and there is nothing to seal: run `start` first.");
      const { store } = resources.use(await openArchive(config, { host: identity.host, archiveId: identity.archive_id }));
      const loader = { db, store, host, log: createCommandLogger(context) };
      const sealer = await openSealer(config, { loader, archiveId: identity.archive_id });
      if (sealer === undefined)
        throw new ConfigError(
          "SEAL_KEY_FILE: is required to seal, or SEAL_KEY: openssl genpkey -algorithm ed25519 -out seal-key.pem",
        );
      const published = await sealNow(sealer, nextKey);
      const { sequence, sha256 } = published;
      const seal = await db
        .selectFrom("archive.seals")
        .select(["entries", "sealed_at", "previous_sha256", "key_id", "next_key_id"])
        .where("sequence", "=", sequence)
        .executeTakeFirstOrThrow();
      if (json) return printJson(context, { sequence, sha256, ...seal });
      print(
        context,
        [
          `Seal ${sequence} of ${seal.entries} objects, by key ${seal.key_id}`,
          ...(seal.next_key_id === null ? [] : [`From the next seal on, key ${seal.next_key_id}: give it to every loader now.`]),
          `Head ${sequence}:${sha256}`,
        ].join("\n"),
      );
    });
}

const longestWaitMs = 60_000;

// A loader that seals at this moment is waited for, since its seal was prepared before; so was one that a crash has left, which announces
// no key.
async function sealNow(sealer: Sealer, nextKey: KeyObject | undefined): Promise<PublishedSeal> {
  for (const deadline = Date.now() + longestWaitMs; Date.now() < deadline; await sleep(200)) {
    const published = await sealArchive(sealer, { nextKey });
    if (published?.announces) return published;
  }
  throw new PermanentError(
    "store/unavailable",
    `A loader has been sealing for ${longestWaitMs / 1000} s. See its log and \`status\`, and try again.`,
  );
}

async function readPublicKey(path: string) {
  try {
    return parsePublicKey(await readFile(path, "utf8"));
  } catch (error) {
    if (error instanceof ActionsArchiveError) throw error;
    throw new InvalidArgumentError(
      `--next-key ${path} must name a file with an Ed25519 public key in PEM: openssl pkey -in key.pem -pubout`,
    );
  }
}
