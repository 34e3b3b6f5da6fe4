// Creates the sealing key of an embedded archive, in the engines' folder.

import { generateKeyPairSync } from "node:crypto";
import { link, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";

/** File names in the engines' folder. */
export const sealKeyFile = "seal-key.pem";
export const sealPublicKeyFile = "seal-key.pub";

/**
 * Creates the key if there is none: `seal-key.pem` (mode 0600), and `seal-key.pub` for verification. Never replaces a key: two processes
 * that start at once get the same key.
 * @returns the path of the private key.
 */
export async function ensureSealKey(dir: string): Promise<string> {
  const path = join(dir, sealKeyFile);
  const next = `${path}.${process.pid}`;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  await mkdir(dir, { recursive: true, mode: 0o711 });
  try {
    await writeNew(next, privateKey.export({ type: "pkcs8", format: "pem" }), 0o600);
    await link(next, path);
    await writeNew(join(dir, sealPublicKeyFile), publicKey.export({ type: "spki", format: "pem" }), 0o644);
  } catch (error) {
    if (!(Error.isError(error) && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    await rm(next, { force: true });
  }
  return path;
}

async function writeNew(path: string, text: string | Buffer, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(text);
  await file.sync();
}
