// `seal`: makes one seal now, even when nothing changed.

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { openArchive } from "@actions-archive/archive/open-archive";
import { parsePublicKey } from "@actions-archive/archive/seal/seal-key";
import { ActionsArchiveError, ConfigError, PermanentError } from "@actions-archive/core/errors";
import type { Ascription } from "@actions-archive/database/connection/actor";
import type { Database } from "@actions-archive/database/connection/open-database";
import { findIdentity } from "@actions-archive/database/ledger/identity";
import { findWrongHosts } from "@actions-archive/loader/seal/find-wrong-hosts";
import { type PublishedSeal, sealArchive, type Sealer, type SealOptions } from "@actions-archive/loader/seal/seal-archive";
import { openSealer } from "@actions-archive/loader/seal/start-sealing";
import { type Command, InvalidArgumentError } from "commander";

import { addAscription, ascriptionOf, type AscriptionOptions } from "../ascription.ts";
import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, createCommandLogger, print, printJson } from "../command-context.ts";
import { countText } from "../count-text.ts";

type SealCommandOptions = AscriptionOptions & { nextKey?: string; correctHost?: true; json?: true };

const examples = `
Examples:
  actions-archive seal
  actions-archive seal --json | jq -r '"\\(.sequence):\\(.sha256)"'
  actions-archive seal --next-key new-key.pub --reason "yearly rotation"
  actions-archive seal --correct-host --reason "sealed from a shell without GITHUB_API_URL"

The loader makes a seal every SEAL_INTERVAL_SECONDS. Keep the printed head where no one with write access to the store can change it:
verify --expect-head then detects seals removed from the end of the chain.
A new key: openssl genpkey -algorithm ed25519 -out new-key.pem; openssl pkey -in new-key.pem -pubout -out new-key.pub; then
seal --next-key new-key.pub with the old key, and SEAL_KEY_FILE=new-key.pem for every loader from then on.
--correct-host is for an archive in which verify finds seals of another host: the new seal names each of them, by number and hash, as
wrong about its host. They stay as they are, and verify shows them from then on as corrected, with the reason.
The seal and audit.seals record who announced a key or corrected a host (--by, else your login), and why.`;

export function addSeal(program: Command, context: CommandContext): void {
  addAscription(program.command("seal"))
    .option("--next-key <file>", "public key (PEM) of the next seals; this seal announces it")
    .option("--correct-host", "correct earlier seals that name another host than the archive's; needs --reason")
    .option("--json", "one JSON document")
    .addHelpText("after", examples)
    .action(async ({ nextKey: nextKeyFile, correctHost, json, ...ascribed }: SealCommandOptions) => {
      const ascription = ascriptionOf(ascribed);
      const why = correctionReason({ nextKeyFile, correctHost, ...ascribed }, ascription);
      const nextKey = nextKeyFile === undefined ? undefined : await readPublicKey(nextKeyFile);
      await using resources = new AsyncDisposableStack();
      const { db, config } = await attachLedger(context, {
        command: "seal",
        resources,
        uses: ["DATABASE_URL", "ARCHIVE_URL"],
        writes: true,
      });
      const identity = await findIdentity(db);
      if (identity === undefined) throw new PermanentError("usage/invalid", "Nothing is archived yet: run `start` first.");
      const { store } = resources.use(await openArchive(config, { host: identity.host, archiveId: identity.archive_id }));
      const loader = { db, store, host: identity.host, log: createCommandLogger(context) };
      const sealer = await openSealer(config, { loader, archiveId: identity.archive_id });
      if (sealer === undefined)
        throw new ConfigError(
          "SEAL_KEY_FILE: is required to seal, or SEAL_KEY: openssl genpkey -algorithm ed25519 -out seal-key.pem",
        );
      const corrections = why === undefined ? [] : await findWrongHosts(loader, why);
      if (why !== undefined && corrections.length === 0)
        throw new PermanentError(
          "usage/invalid",
          `Every seal names ${identity.host} or is already corrected. Nothing was sealed`,
        );
      const published = await sealNow(sealer, { nextKey, corrections, ascription });
      const { sequence, sha256 } = published;
      const seal = await db
        .selectFrom("archive.seals")
        .select(["entries", "sealed_at", "previous_sha256", "key_id", "next_key_id"])
        .where("sequence", "=", sequence)
        .executeTakeFirstOrThrow();
      if (json) return printJson(context, { sequence, sha256, ...seal, corrections });
      print(
        context,
        [
          `Seal ${sequence} made: ${await describeContent(db, sequence, seal.entries)}. Key ${seal.key_id}`,
          ...(seal.next_key_id === null ? [] : [`The next seal uses key ${seal.next_key_id}: give it to every loader now.`]),
          ...corrections.map(
            ({ sequence: wrong, host, correct_host }) =>
              `Corrects seal ${wrong}, which names the host ${host}: the archive is of ${correct_host}.`,
          ),
          `Head ${sequence}:${sha256}`,
        ].join("\n"),
      );
    });
}

const maxWaitMs = 60_000;

async function describeContent(db: Database, sequence: number, entries: number): Promise<string> {
  const count = async (table: "archive.holds" | "archive.tombstones" | "archive.retention_policies") => {
    const query = db.selectFrom(table).where("sealed_in", "=", sequence);
    return Number((await query.select(({ fn }) => fn.countAll().as("rows")).executeTakeFirstOrThrow()).rows);
  };
  const parts = [
    [await count("archive.holds"), "hold"],
    [await count("archive.tombstones"), "removal"],
    [await count("archive.retention_policies"), "policy", "policies"],
  ] as const;
  const others = parts.filter(([rows]) => rows > 0).map(([rows, noun, plural]) => countText(rows, noun, plural));
  return [countText(entries, "object"), ...others].join(", ");
}

type AscribedSeal = AscriptionOptions & { readonly nextKeyFile: string | undefined; readonly correctHost: true | undefined };

/**
 * @returns the reason of the corrections; undefined when there are none.
 * @throws PermanentError for corrections without a reason, and for --by or --reason without an option that they belong to.
 */
function correctionReason(options: AscribedSeal, { reason }: Ascription): string | undefined {
  const { nextKeyFile, correctHost } = options;
  if (correctHost === undefined) {
    if (nextKeyFile === undefined && (options.by !== undefined || options.reason !== undefined))
      throw new PermanentError("usage/invalid", "--by and --reason go with --next-key or --correct-host");
    return undefined;
  }
  if (reason) return reason;
  throw new PermanentError("usage/invalid", "--correct-host needs --reason: why");
}

// Waits for a loader that is sealing, since its seal was prepared earlier. A prepared seal that a crash left is published first,
// too: it has neither the key nor the corrections.
async function sealNow(
  sealer: Sealer,
  options: Pick<SealOptions, "nextKey" | "corrections" | "ascription">,
): Promise<PublishedSeal> {
  for (const deadline = Date.now() + maxWaitMs; Date.now() < deadline; await sleep(200)) {
    const published = await sealArchive(sealer, options);
    if (published?.hasRequestedContent) return published;
  }
  throw new PermanentError(
    "store/unavailable",
    `A loader has been sealing for ${maxWaitMs / 1000} s. Check its log and \`status\`, then run seal again.`,
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
