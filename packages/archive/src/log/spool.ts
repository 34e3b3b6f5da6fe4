// Where the stored bytes of a log wait until all of them are there: in memory while they are few, then in a file. Bounded by
// one quota for the whole process, so that no set of logs can fill the disk.

import { type FileHandle, mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

import { ConfigError, TransientError } from "@actions-archive/core/errors";

import type { StoredBody } from "../store/store.ts";

const memoryBytes = 2 * 1024 * 1024;
/** Frames of 64 KiB of text are some 8 KiB each: a write for each of them took a sixth of the worker's time. */
const batchBytes = 256 * 1024;
/** A file that no reservation covers grows by so much at a time. */
const growBytes = 1024 * 1024;
/** Another machine's file in a shared folder: old enough that its process has surely finished. */
const foreignAfterMs = 24 * 60 * 60 * 1000;

export type SpoolOptions = { readonly dir: string; readonly maxBytes: number };

/**
 * Opens the spool in `dir`, makes it if it is missing, and removes the files of processes that are dead.
 * @throws ConfigError when it cannot be made or written.
 */
export async function openSpool({ dir, maxBytes }: SpoolOptions): Promise<Spool> {
  try {
    await mkdir(dir, { recursive: true });
    const start = (await startOf(process.pid)) ?? String(Math.round(performance.timeOrigin));
    await removeDeadFiles(dir, start);
    return new Spool(dir, maxBytes, `${host()}.${process.pid}.${start}`);
  } catch (error) {
    throw new ConfigError(
      `The spool folder ${dir} cannot be used: ${String(error)}. Set SPOOL_DIR to a folder that the process may write to.`,
      { cause: error },
    );
  }
}

/** The quota has no room now for what others are not done with. Alone, the log would have it all. */
export class SpoolFullError extends TransientError {
  constructor(message: string) {
    super("spool/full", message);
  }
}

export class Spool {
  readonly #dir: string;
  readonly #maxBytes: number;
  readonly #owner: string;
  #reservedBytes = 0;
  #files = 0;

  constructor(dir: string, maxBytes: number, owner: string) {
    this.#dir = dir;
    this.#maxBytes = maxBytes;
    this.#owner = owner;
  }

  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /**
   * A place for one body, with room for `bytes` reserved; it may grow beyond while there is room. Who has the spool for itself
   * is never refused, so that a log of just the quota, which grows a little by its format, can be stored.
   * @throws SpoolFullError when there is no room now.
   */
  open(bytes: number): SpoolFile {
    if (!this.#reserve(bytes, 0)) throw this.#full(bytes);
    this.#files += 1;
    return new SpoolFile({
      path: join(this.#dir, `${this.#owner}.${this.#files}.spool`),
      reservedBytes: bytes,
      reserve: (more, own) => this.#reserve(more, own),
      release: (less) => (this.#reservedBytes -= less),
      full: (more) => this.#full(more),
    });
  }

  #reserve(bytes: number, ownBytes: number): boolean {
    const isAlone = this.#reservedBytes === ownBytes;
    if (this.#reservedBytes + bytes > this.#maxBytes && !isAlone) return false;
    this.#reservedBytes += bytes;
    return true;
  }

  #full(bytes: number): SpoolFullError {
    return new SpoolFullError(
      `The spool in ${this.#dir} has ${this.#reservedBytes} of ${this.#maxBytes} bytes reserved and no room for ${bytes} more. Raise SPOOL_MAX_BYTES if this is frequent.`,
    );
  }
}

type Quota = {
  readonly path: string;
  readonly reservedBytes: number;
  readonly reserve: (bytes: number, ownBytes: number) => boolean;
  readonly release: (bytes: number) => void;
  readonly full: (bytes: number) => SpoolFullError;
};

/** One body being spooled. Disposing it removes the file and gives the room back, whatever happened before. */
export class SpoolFile implements AsyncDisposable {
  readonly #quota: Quota;
  #reservedBytes: number;
  #sizeBytes = 0;
  /** What is not in the file yet. */
  #chunks: Buffer[] = [];
  #pendingBytes = 0;
  #file: FileHandle | undefined;
  /** A write that failed: bytes are missing, and the body must never pass for a whole one. */
  #broken: TransientError | undefined;

  constructor(quota: Quota) {
    this.#quota = quota;
    this.#reservedBytes = quota.reservedBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Appends `chunk`, which must not change afterwards; resolves when the next one is welcome.
   * @throws SpoolFullError when the quota has no room; TransientError `spool/full` when the disk refuses.
   */
  async write(chunk: Buffer): Promise<void> {
    const missing = this.#sizeBytes + chunk.length - this.#reservedBytes;
    if (missing > 0) this.#grow(missing);
    this.#sizeBytes += chunk.length;
    this.#chunks.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes > (this.#file ? batchBytes : memoryBytes)) await this.#flush();
  }

  /** All that was written, ready for `Store.put`; valid until disposed. @throws TransientError `spool/full` */
  async finish(): Promise<StoredBody> {
    if (!this.#file && !this.#broken) return Buffer.concat(this.#chunks);
    try {
      await this.#flush();
      await this.#file?.close();
    } catch (error) {
      throw this.#failure(error);
    }
    return { path: this.#quota.path, sizeBytes: this.#sizeBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#chunks = [];
    if (file) {
      // Closed already when the body was finished.
      await file.close().catch(() => undefined);
      await rm(this.#quota.path, { force: true });
    }
    this.#quota.release(this.#reservedBytes);
    this.#reservedBytes = 0;
  }

  #grow(missing: number): void {
    const bytes = [Math.max(missing, growBytes), missing].find((wanted) => this.#quota.reserve(wanted, this.#reservedBytes));
    if (bytes === undefined) throw this.#quota.full(missing);
    this.#reservedBytes += bytes;
  }

  async #flush(): Promise<void> {
    if (this.#broken) throw this.#broken;
    const chunks = this.#chunks.splice(0);
    this.#pendingBytes = 0;
    try {
      this.#file ??= await open(this.#quota.path, "wx", 0o600);
      await writeAll(this.#file, chunks);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): TransientError {
    if (error instanceof TransientError) return error;
    return (this.#broken = new TransientError(
      "spool/full",
      `The spool file ${this.#quota.path} cannot be written: ${String(error)}. Free the disk of SPOOL_DIR; it is tried again.`,
      { cause: error },
    ));
  }
}

// One call for all of them, without a copy. A disk that fills up takes a part, and says why at the next call.
async function writeAll(file: FileHandle, chunks: readonly Buffer[]): Promise<void> {
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  if (bytes === 0) return;
  const { bytesWritten } = await file.writev(chunks);
  if (bytesWritten === bytes) return;
  const rest = Buffer.concat(chunks).subarray(bytesWritten);
  for (let written = 0; written < rest.length;) written += (await file.write(rest, written)).bytesWritten;
}

async function removeDeadFiles(dir: string, ownStart: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const [, owner, pid, start] = /^(.+)\.(\d+)\.(\d+)\.\d+\.spool$/.exec(name) ?? [];
    if (owner === undefined || pid === undefined || start === undefined) continue;
    const path = join(dir, name);
    const isDead =
      owner === host()
        ? !(await isAlive(Number(pid), start, ownStart))
        : Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity) > foreignAfterMs;
    if (isDead) await rm(path, { force: true });
  }
}

// A pid alone says little: in a container every process is number 1.
async function isAlive(pid: number, start: string, ownStart: string): Promise<boolean> {
  if (pid === process.pid) return start === ownStart;
  const actual = await startOf(pid);
  if (actual !== undefined) return actual === start;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** When a process began, in ticks since boot (proc(5), field 22); undefined where there is no /proc, or no such process. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

function host(): string {
  return hostname().replaceAll(/[^A-Za-z0-9-]/g, "-") || "localhost";
}
