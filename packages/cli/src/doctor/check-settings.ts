// Checks of `doctor` that need no engine: every setting by itself, the seal key and the disk.

import { createPublicKey } from "node:crypto";
import { access, constants, mkdtemp, rmdir, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { keyIdOf } from "@actions-archive/archive/seal/seal-key";
import { type Environment, presentSettings } from "@actions-archive/core/config";
import { errorMessage } from "@actions-archive/core/error-message";
import { settings } from "@actions-archive/core/settings";
import type { z } from "zod";

import { formatBytes } from "../demo/format-bytes.ts";
import { loadStartConfig } from "../start-config.ts";
import { withPlaceholders } from "../with-engines.ts";
import { type Check, fail, pass, warn } from "./check.ts";

/** A log of the largest size that GitHub serves must fit beside what is in flight. */
const minFreeBytes = 5 * 1024 ** 3;

/** The value of one setting; undefined where it is missing or wrong, which `checkSettings` reports. */
export function settingOf<Name extends keyof typeof settings>(
  env: Environment,
  name: Name,
): z.output<(typeof settings)[Name]> | undefined {
  const parsed = settings[name].safeParse(presentSettings(env)[name]);
  // The schema at `Name` yields exactly this type; TypeScript cannot follow the index.
  return parsed.success ? (parsed.data as z.output<(typeof settings)[Name]>) : undefined;
}

/** One failed check for each wrong setting, or one that passes. */
export function checkSettings(env: Environment): Check[] {
  try {
    loadStartConfig(withPlaceholders(env));
    return [
      pass("settings", `${Object.keys(presentSettings(env)).filter((name) => name in settings).length} are set, all valid`),
    ];
  } catch (error) {
    const lines = errorMessage(error).split("\n").slice(1);
    return lines.map((line) => fail("settings", line.trim(), "Correct the setting; .env.example describes each of them."));
  }
}

/** Whether there is a key that seals. @param embeddedKey whether the embedded engines bring one along. */
export function checkSealKey(env: Environment, embeddedKey: boolean): Check {
  const present = presentSettings(env);
  const isSet = present["SEAL_KEY"] !== undefined || present["SEAL_KEY_FILE"] !== undefined;
  const pem = settingOf(env, "SEAL_KEY") ?? settingOf(env, "SEAL_KEY_FILE");
  const cure = "openssl genpkey -algorithm ed25519 -out seal-key.pem; set SEAL_KEY_FILE, and keep the key apart from the bucket.";
  if (pem !== undefined) return pass("seal_key", `Ed25519, key id ${keyIdOf(createPublicKey(pem))}`);
  if (isSet) return fail("seal_key", "SEAL_KEY or SEAL_KEY_FILE holds no Ed25519 private key in PEM, or cannot be read", cure);
  if (embeddedKey) return pass("seal_key", "the embedded archive's own key");
  return warn("seal_key", "no SEAL_KEY_FILE: nothing is sealed, so nothing can be proved", cure);
}

/** Free space where logs are spooled and, for a folder archive, stored. */
export async function checkDisk(env: Environment, archiveUrl: string | undefined): Promise<Check[]> {
  const spool = settingOf(env, "SPOOL_DIR");
  const folders = [
    ...(spool === undefined ? [] : [{ check: "disk_spool", folder: spool, setting: "SPOOL_DIR" }]),
    ...(archiveUrl?.startsWith("file:")
      ? [{ check: "disk_archive", folder: fileURLToPath(archiveUrl), setting: "ARCHIVE_URL" }]
      : []),
  ];
  return Promise.all(folders.map(checkFolder));
}

async function checkFolder({ check, folder, setting }: { check: string; folder: string; setting: string }): Promise<Check> {
  try {
    const existing = await findExisting(folder);
    await access(existing, constants.W_OK);
    // Some file systems, such as /proc, say that they are writable and refuse every folder.
    await rmdir(await mkdtemp(join(existing, ".actions-archive-doctor-")));
    const { bavail, bsize } = await statfs(existing);
    const freeBytes = bavail * bsize;
    const detail = `${formatBytes(freeBytes)} free in ${folder}`;
    if (freeBytes >= minFreeBytes) return pass(check, detail);
    return warn(
      check,
      detail,
      `Free the disk, or point ${setting} to a larger one; ${formatBytes(minFreeBytes)} is a sensible minimum.`,
    );
  } catch (error) {
    return fail(check, `${folder}: ${errorMessage(error)}`, `Point ${setting} to a folder that this account may write to.`);
  }
}

// The nearest folder that is there: what is missing below it is created by the first start.
async function findExisting(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere || path === dirname(path)) return path;
  }
}
