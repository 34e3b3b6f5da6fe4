// A folder that appears atomically: it is filled under a temporary name next to its target, then renamed.

import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { errorMessage } from "@actions-archive/core/error-message";
import { PermanentError } from "@actions-archive/core/errors";

export type CaseFile = { readonly path: string; readonly size: number; readonly sha256: string };

/** Disposing before `publish` removes everything. */
export type CaseFolder = AsyncDisposable & {
  /** The folder while it is filled. */
  readonly temporary: string;
  /** The folder once it is published. */
  readonly target: string;
  readonly files: readonly CaseFile[];
  /** Streams a new file into the folder and lists it. @throws the signal's reason. */
  readonly add: (path: string, content: AsyncIterable<Buffer> | Buffer) => Promise<CaseFile>;
  /** Writes the manifest of all files. @returns its SHA-256 */
  readonly addManifest: () => Promise<string>;
  /** @throws PermanentError `usage/invalid` when the target was filled meanwhile. */
  readonly publish: () => Promise<void>;
};

/** @throws PermanentError `usage/invalid` when the target is not an empty folder, or cannot be created. */
export async function openCaseFolder(to: string, signal: AbortSignal): Promise<CaseFolder> {
  const target = resolve(to);
  await assertEmpty(target);
  let temporary: string;
  try {
    await mkdir(dirname(target), { recursive: true });
    temporary = await mkdtemp(join(dirname(target), `.${basename(target)}.partial-`));
  } catch (error) {
    throw new PermanentError("usage/invalid", `The case cannot be written next to ${target}: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
  const files: CaseFile[] = [];
  const write = async (path: string, content: AsyncIterable<Buffer> | Buffer): Promise<CaseFile> => {
    const hash = createHash("sha256");
    let size = 0;
    const counted = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    };
    const file = join(temporary, path);
    await mkdir(dirname(file), { recursive: true });
    await pipeline(
      Readable.from(Buffer.isBuffer(content) ? [content] : content),
      counted,
      createWriteStream(file, { flags: "wx" }),
      {
        signal,
      },
    );
    return { path, size, sha256: hash.digest("hex") };
  };
  return {
    temporary,
    target,
    files,
    async add(path, content) {
      const file = await write(path, content);
      files.push(file);
      return file;
    },
    async addManifest() {
      const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
      return (await write("manifest.json", canonicalBytes({ schema_version: 1, files: sorted }))).sha256;
    },
    async publish() {
      try {
        await rename(temporary, target);
      } catch (error) {
        await assertEmpty(target);
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => rm(temporary, { recursive: true, force: true }),
  };
}

async function assertEmpty(target: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    if (Error.isError(error) && "code" in error && error.code === "ENOENT") return;
    throw new PermanentError("usage/invalid", `${target} of --to is not a usable folder: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
  if (names.length > 0)
    throw new PermanentError(
      "usage/invalid",
      `${target} of --to is not empty, and files are never overwritten: name a folder that does not exist yet.`,
    );
}
