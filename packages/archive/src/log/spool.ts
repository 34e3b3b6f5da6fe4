// Buffers the stored bytes of a log until they are complete: small bodies in memory, others in a file. One quota for the process
// prevents logs from filling the disk.

import { type FileHandle, mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

import { ConfigError, TransientError } from "@actions-archive/core/errors";

import type { StoredBody } from "../store/store.ts";

const memoryBytes = 2 * 1024 * 1024;
/** A frame of 64 KiB of text has about 8 KiB. One write for each of them took a sixth of the worker's time. */
const batchBytes = 256 * 1024;
/** The reservation of a file that outgrows it is increased by this much at a time. */
const growBytes = 1024 * 1024;
/** Another machine's file in a shared folder is removed after this time, since its process has finished by then. */
const foreignAfterMs = 24 * 60 * 60 * 1000;

export type SpoolOptions = { readonly dir: string; readonly maxBytes: number };

/**
 * Opens the spool in `dir`, creates the folder if it is missing, and removes the files of dead processes.
 * @throws ConfigError when the folder cannot be created or written.
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

/** Other logs use the quota now. A log that runs exclusively has all of it. */
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
   * Opens a file for one body and reserves `bytes`; it may grow further while the quota has room. The only file in the spool is never
   * refused, so a log as large as the quota, to which the format adds a few bytes, can be stored.
   * @throws SpoolFullError when the quota has no room now.
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
    const isOnly = this.#reservedBytes === ownBytes;
    if (this.#reservedBytes + bytes > this.#maxBytes && !isOnly) return false;
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

/** One spooled body. Disposing it removes the file and releases the reservation in every case. */
export class SpoolFile implements AsyncDisposable {
  readonly #quota: Quota;
  #reservedBytes: number;
  #sizeBytes = 0;
  /** Chunks that are not in the file yet. */
  #chunks: Buffer[] = [];
  #pendingBytes = 0;
  #file: FileHandle | undefined;
  /** Set by a failed write: the body is incomplete and must not be stored. */
  #broken: TransientError | undefined;

  constructor(quota: Quota) {
    this.#quota = quota;
    this.#reservedBytes = quota.reservedBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Appends `chunk`, which must not change afterwards. Await each call before the next.
   * @throws SpoolFullError when the quota has no room; TransientError `spool/full` when the write fails.
   */
  async write(chunk: Buffer): Promise<void> {
    const missing = this.#sizeBytes + chunk.length - this.#reservedBytes;
    if (missing > 0) this.#grow(missing);
    this.#sizeBytes += chunk.length;
    this.#chunks.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes > (this.#file ? batchBytes : memoryBytes)) await this.#flush();
  }

  /** Returns the complete body for `Store.put`, valid until disposal. @throws TransientError `spool/full` */
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
      // After `finish` the file is closed already.
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
      `The spool file ${this.#quota.path} cannot be written: ${String(error)}. Free space on the disk of SPOOL_DIR. It is tried again.`,
      { cause: error },
    ));
  }
}

// One call for all chunks, without a copy. A full disk accepts a part, and the next call reports the reason.
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

// The pid is not enough: in a container every process may have pid 1. The start time distinguishes them.
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

/** Start time of a process in ticks since boot (proc(5), field 22); undefined without /proc or without the process. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

function host(): string {
  return hostname().replaceAll(/[^A-Za-z0-9-]/g, "-") || "localhost";
}
