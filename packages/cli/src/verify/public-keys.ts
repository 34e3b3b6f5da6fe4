// Finds the public keys that `verify` trusts: the given ones, else the public half of this archive's sealing key.

import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { parsePublicKey } from "@actions-archive/archive/seal/seal-key";
import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";
import { sealKeyFile } from "@actions-archive/embedded/seal-key-file";

import type { CommandContext } from "../command-context.ts";

/**
 * Reads the keys of the `--public-key` files; without any, that of SEAL_KEY, SEAL_KEY_FILE or the embedded archive.
 * @throws PermanentError `usage/invalid` when there is no key, with the way to create one, or when a file holds none.
 */
export async function findPublicKeys(
  files: readonly string[],
  { env, dir }: Pick<CommandContext, "env" | "dir">,
): Promise<KeyObject[]> {
  if (files.length > 0) return Promise.all(files.map((file) => readKey(file, "--public-key")));
  const { SEAL_KEY: pem, SEAL_KEY_FILE: file } = env;
  if (pem) return [parseKey(pem.replaceAll("\\n", "\n"), "SEAL_KEY")];
  if (file) return [await readKey(file, "SEAL_KEY_FILE")];
  const embedded = join(dir, sealKeyFile);
  const ownKey = await readFile(embedded, "utf8").catch(() => undefined);
  if (ownKey !== undefined) return [parseKey(ownKey, embedded)];
  throw new PermanentError(
    "usage/invalid",
    "There is no key to verify the seals with: give the archive's public key with --public-key FILE. The holder of the sealing key creates it with: openssl pkey -in seal-key.pem -pubout -out seal-key.pub",
  );
}

async function readKey(file: string, name: string): Promise<KeyObject> {
  let pem: string;
  try {
    pem = await readFile(file, "utf8");
  } catch (error) {
    const isMissing = Error.isError(error) && "code" in error && error.code === "ENOENT";
    const problem = isMissing ? "does not exist" : `cannot be read: ${errorMessage(error)}`;
    throw new PermanentError("usage/invalid", `The file ${file} of ${name} ${problem}.`, { cause: error });
  }
  return parseKey(pem, `${file} of ${name}`);
}

function parseKey(pem: string, name: string): KeyObject {
  try {
    return parsePublicKey(pem);
  } catch {
    // OpenSSL's message does not help, and may repeat the key.
    throw new PermanentError("usage/invalid", `${name} holds no Ed25519 key in PEM.`);
  }
}
