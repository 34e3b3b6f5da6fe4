// `proof JOB_ID`: writes a file that proves to anyone with the public key that a job's record was sealed.

import type { KeyObject } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { openStore } from "@actions-archive/archive/open-store";
import { parseHeadKeyId, type Proof } from "@actions-archive/archive/seal/proof";
import { keyIdOf } from "@actions-archive/archive/seal/seal-key";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { PermanentError } from "@actions-archive/core/errors";
import type { Database } from "@actions-archive/database/connection/open-database";
import type { Command } from "commander";

import { attachLedger } from "../attach-ledger.ts";
import { type CommandContext, print } from "../command-context.ts";
import { parseJobId } from "../parse-job-id.ts";
import { checkerFile, shellCommand } from "../proof/checker.ts";
import { createProver } from "../proof/prove-object.ts";
import { findPublicKeys } from "../verify/public-keys.ts";

type ProofOptions = { log?: true; output?: string; publicKey?: string; json?: true };

const examples = `
Examples:
  actions-archive proof 399444496
  actions-archive proof 399444496 --log --output log.proof.json
  actions-archive proof 399444496 --json | jq -r .entry.sha256

The proof holds the object's key, size and SHA-256, its path to the root of the seal, and the seal's signed head. The record holds the
log's hashes, so one proof of it is a proof of both. The command that is printed checks it with the public key, which is written next to the
proof as PROOF.seal-key.pub, and with docs/check-proof.mjs: one file that needs Node 20 or later alone.`;

export function addProof(program: Command, context: CommandContext): void {
  program
    .command("proof")
    .argument("<job-id>", "GitHub's id of the job", parseJobId)
    .option("--log", "of the log object itself, instead of the job's record")
    .option("--output <file>", "where it goes; default: JOB_ID.proof.json")
    .option(
      "--public-key <file>",
      "the key that signed the seal, in PEM, where it is not the one that this archive seals with now",
    )
    .option("--json", "to stdout, as one JSON document, instead of into a file")
    .addHelpText("after", examples)
    .action(async (jobId: number, { log, output = `${jobId}.proof.json`, publicKey, json }: ProofOptions) => {
      await using resources = new AsyncDisposableStack();
      const { db, config } = await attachLedger(context, { command: "proof", resources, uses: ["DATABASE_URL", "ARCHIVE_URL"] });
      const store = resources.use(await openStore(config));
      const key = await findKey(db, jobId, log === true ? "log" : "record");
      const { proof, sequence } = await createProver({ db, store })(key, jobId);
      const text = canonicalBytes(proof);
      if (json) {
        context.stdout.write(`${text.toString("utf8")}\n`);
        return;
      }
      await writeFile(output, text);
      const check = await describeCheck(output, proof, { file: publicKey, context });
      print(context, `Wrote ${output}: seal ${sequence} holds ${key}, SHA-256 ${proof.entry.sha256}\n${check}`);
    });
}

type KeySource = { readonly file: string | undefined; readonly context: CommandContext };

/**
 * Writes the public key next to the proof.
 * @returns the command that checks the proof, or how to get the missing key.
 */
async function describeCheck(output: string, proof: Proof, source: KeySource): Promise<string> {
  const keyId = parseHeadKeyId(proof);
  const publicKey = await findSealingKey(keyId, source);
  if (publicKey === undefined)
    return [
      `The seal is signed with the key of SHA-256 ${keyId}, and its public half is not known here. Who holds the sealing key makes it with:`,
      "  openssl pkey -in seal-key.pem -pubout -out seal-key.pub",
      "Then run proof again with --public-key FILE: it prints the command that checks the proof.",
    ].join("\n");
  const keyFile = `${output.replace(/\.proof\.json$/, "")}.seal-key.pub`;
  await writeFile(keyFile, publicKey.export({ type: "spki", format: "pem" }));
  return [
    `Wrote ${keyFile}: the public key of SHA-256 ${keyId}`,
    `Check it: ${shellCommand(["node", checkerFile, resolve(output), resolve(keyFile)])}`,
  ].join("\n");
}

/**
 * @returns undefined when this archive now seals with another key, or no key is configured here.
 * @throws PermanentError for a given file without the right key.
 */
async function findSealingKey(keyId: string, { file, context }: KeySource): Promise<KeyObject | undefined> {
  if (file === undefined) {
    const known = await findPublicKeys([], context).catch((error: unknown) => {
      if (error instanceof PermanentError) return [];
      throw error;
    });
    return known.find((key) => keyIdOf(key) === keyId);
  }
  const [given] = await findPublicKeys([file], context);
  if (given !== undefined && keyIdOf(given) === keyId) return given;
  throw new PermanentError(
    "usage/invalid",
    `The seal is signed with the key of SHA-256 ${keyId}, and ${file} of --public-key is another one: give the key that was in use when it was sealed.`,
  );
}

async function findKey(db: Database, jobId: number, kind: "log" | "record"): Promise<string> {
  const row = await db
    .selectFrom("archive.logs")
    .select(["record_key", "log_key"])
    .where("job_id", "=", jobId)
    .executeTakeFirst();
  const key = kind === "log" ? row?.log_key : row?.record_key;
  if (key != null) return key;
  throw new PermanentError(
    "usage/invalid",
    row === undefined
      ? `Nothing is recorded of job ${jobId}: it is unknown, or its log is pending or failed. \`report evidence ${jobId}\` shows what is known.`
      : `Job ${jobId} has no log in the archive; without --log its record is proved, which says why.`,
  );
}
