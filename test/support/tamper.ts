// What an attacker with write access to an archive's folder can do. Disposing undoes each change.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

/** The keys of an archive that may be tampered with, by kind. */
export type ObjectKeys = {
  readonly logs: readonly string[];
  readonly records: readonly string[];
  readonly runs: readonly string[];
  readonly seals: readonly string[];
};

/** Older than any seal. Anyone who writes to a folder can set this time. */
const longAgo = new Date("2026-01-01T00:00:00Z");

export class Tamperer implements AsyncDisposable {
  readonly #folder: string;
  readonly #before = new Map<string, { readonly bytes: Buffer; readonly mtime: Date } | undefined>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read(key: string): Promise<Buffer> {
    return readFile(join(this.#folder, key));
  }

  /** Keeps the modification time of an existing file, as a careful attacker would; a new file gets an old time. */
  async write(key: string, bytes: Buffer, mtime?: Date): Promise<void> {
    const before = await this.#remember(key);
    const path = join(this.#folder, key);
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    await writeFile(path, bytes, { mode: 0o444 });
    const time = mtime ?? before?.mtime ?? longAgo;
    await utimes(path, time, time);
  }

  /** Requires that no file has this key. */
  async makePipe(key: string): Promise<void> {
    await this.#remember(key);
    await promisify(execFile)("mkfifo", [join(this.#folder, key)]);
  }

  async remove(key: string): Promise<void> {
    await this.#remember(key);
    await rm(join(this.#folder, key));
  }

  /** @returns the key of the file in which a folder store keeps a log's metadata. */
  async metadataOf(key: string): Promise<string> {
    const parent = dirname(key);
    const names = await readdir(join(this.#folder, parent));
    const name = names.find((each) => each.startsWith(`.${key.slice(parent.length + 1)}.`) && each.endsWith(".meta"));
    if (name === undefined) throw new Error(`${key} has no metadata`);
    return `${parent}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [key, before] of this.#before) {
      const path = join(this.#folder, key);
      await rm(path, { force: true });
      if (!before) continue;
      await writeFile(path, before.bytes, { mode: 0o444 });
      await utimes(path, before.mtime, before.mtime);
    }
  }

  async #remember(key: string): Promise<{ readonly bytes: Buffer; readonly mtime: Date } | undefined> {
    if (this.#before.has(key)) return this.#before.get(key);
    const path = join(this.#folder, key);
    const found = await stat(path).catch(() => undefined);
    const before = found && { bytes: await readFile(path), mtime: found.mtime };
    this.#before.set(key, before);
    return before;
  }
}

/** Seeded random numbers, so that a run can be repeated. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** @returns an integer from 0 (inclusive) to `size` (exclusive). */
  below(size: number): number {
    this.#state = createHash("sha256").update(String(this.#state)).digest().readUInt32LE(0);
    return this.#state % size;
  }

  one<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("There is nothing to choose from.");
    return item;
  }

  /** @returns two different items. */
  two<T>(items: readonly T[]): [T, T] {
    const first = this.one(items);
    return [first, this.one(items.filter((item) => item !== first))];
  }
}
