// Text for measured logs: real job logs where `../shared/fixtures` exists, else similar lines.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";

import { createRandom } from "@actions-archive/github-simulator/random";

const fixtures = join(import.meta.dirname, "../../../shared/fixtures/job-logs/bugswarm");

export type SampleText = { readonly bytes: Buffer; readonly isReal: boolean };

/** @returns some megabytes of log text that end with a newline. */
export function readSampleText(): SampleText {
  if (!existsSync(fixtures)) return { bytes: makeText(), isReal: false };
  const files = readdirSync(fixtures, { recursive: true, encoding: "utf8" }).filter((name) => /\.(log|txt)$/.test(name));
  const texts = files.toSorted().flatMap((name) => [readFileSync(join(fixtures, name)), Buffer.from("\n")]);
  return { bytes: Buffer.concat(texts), isReal: true };
}

/** Writes `text` repeatedly, until the file has `sizeBytes`. */
export async function writeRepeated(path: string, text: Buffer, sizeBytes: number): Promise<void> {
  await using file = await open(path, "w");
  for (let written = 0; written < sizeBytes; written += text.length)
    await file.write(text.subarray(0, Math.min(text.length, sizeBytes - written)));
}

function makeText(): Buffer {
  const random = createRandom("bench");
  const words = ["compiling", "linked", "fetched", "PASS", "test", "src/index", "lib/parser", "warning", "done in", "cache hit"];
  const lines = Array.from({ length: 100_000 }, (_, line) => {
    const text = Array.from({ length: random.int(3, 12) }, () => random.pick(words)).join(" ");
    return `2026-01-01T00:${String(Math.floor(line / 60_000)).padStart(2, "0")}:00.${String(line).padStart(7, "0")}Z ${text} ${random.int(0, 1e6)}`;
  });
  return Buffer.from(`${lines.join("\n")}\n`);
}
