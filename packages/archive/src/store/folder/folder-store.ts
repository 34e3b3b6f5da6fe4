// The store as a folder. An object is written to a temporary file, fsynced, then linked to its name with link(2), which never
// replaces a file. After a crash at any point, a name leads to the complete object or does not exist.

import { createHash, randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { PermanentError } from "@actions-archive/core/errors";

import {
  assertKey,
  assertLogKey,
  assertReadable,
  type ByteRange,
  type ListedObject,
  type ListedVersion,
  maxReadBytes,
  type ObjectInfo,
  type PutOptions,
  type PutOutcome,
  type RemoveOutcome,
  type Store,
  type StoreCapabilities,
  type StoredBody,
} from "../store.ts";
import {
  ensureFolder,
  folderFailure,
  isErrno,
  linkExclusively,
  removeAbandoned,
  removeIfThere,
  syncFolders,
  writeDurably,
} from "./files.ts";
import { assertIsNoLink, assertLeadsInside, assertReadableFile } from "./links.ts";
import { listMetadata, readMetadata } from "./metadata.ts";
import { isForeignOrKey, isMetadata, isPartOfKey, isSpecialFile, unfinishedFolder } from "./names.ts";
import { readFileRange, streamFile } from "./reads.ts";

/**
 * Opens the folder of a `file:///path` URL for reading: nothing in it is created, changed or removed.
 * @throws PermanentError `store/refused` when the folder does not exist.
 */
export async function openFolderForReading(url: URL): Promise<Store> {
  const root = folderOf(url);
  return translated(`Opening the folder ${root}`, async () => {
    const found = await stat(root).catch((error: unknown) => {
      if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    });
    if (found?.isDirectory()) return new FolderStore(url.href, root);
    throw new PermanentError("store/refused", `The folder ${root} does not exist: set ARCHIVE_URL to the archive or a copy.`);
  });
}

/**
 * Opens the folder of a `file:///path` URL, creates it if it is missing, and removes the files that crashed puts left.
 * @throws PermanentError `store/refused` when it cannot be created or written.
 */
export async function openFolderStore(url: URL): Promise<Store> {
  const root = folderOf(url);
  return translated(`Opening the folder ${root}`, async () => {
    await assertIsNoLink(join(root, unfinishedFolder));
    await mkdir(join(root, unfinishedFolder), { recursive: true });
    await syncFolders(dirname(root), join(root, unfinishedFolder));
    await removeAbandoned(join(root, unfinishedFolder));
    return new FolderStore(url.href, root);
  });
}

function folderOf(url: URL): string {
  return fileURLToPath(url).replace(/(?<=.)\/+$/, "");
}

type WalkRange = {
  readonly prefix: string;
  /** Keys up to and including this one are skipped. */
  readonly after: string;
  /** Receives one name of a folder, and all names of that folder. */
  readonly isWanted: (name: string, names: ReadonlySet<string>) => boolean;
};

/** `isSpecial`: a device, pipe or socket, which is never opened. */
type WalkedFile = ListedObject & { readonly isSpecial?: boolean };

class FolderStore implements Store {
  readonly url: string;
  readonly #root: string;
  #capabilities: StoreCapabilities | undefined;

  constructor(url: string, root: string) {
    this.url = url;
    this.#root = root;
  }

  get capabilities(): StoreCapabilities | undefined {
    return this.#capabilities;
  }

  async probe(): Promise<StoreCapabilities> {
    return translated(`Probing the folder ${this.#root}`, async () => {
      const body = Buffer.from("probe");
      const [file, name] = [this.#unfinished(), this.#unfinished()];
      try {
        await writeDurably(file, body, createHash("sha256").update(body).digest("hex"));
        const conditionalPut = (await linkExclusively(file, name)) && !(await linkExclusively(file, name));
        return (this.#capabilities = { conditionalPut, sha256: true, contentMd5: false, objectLock: false, versioned: false });
      } finally {
        await Promise.all([file, name].map(removeIfThere));
      }
    });
  }

  async put(key: string, body: StoredBody, options: PutOptions): Promise<PutOutcome> {
    return translated(`Storing ${key} in ${this.#root}`, async () => {
      const existing = await this.#head(key);
      if (existing) {
        await syncFolders(this.#root, dirname(this.#path(key)));
        return { kind: "exists", info: existing };
      }
      options.signal?.throwIfAborted();
      const path = this.#path(key);
      const file = this.#unfinished();
      try {
        await ensureFolder(this.#root, dirname(path));
        await writeDurably(file, body, options.sha256);
        const metadataPath = await this.#writeMetadata(path, options);
        const created = await linkExclusively(file, path);
        // The loser of a race also syncs: an object that it reports as existing must survive a power failure.
        await syncFolders(this.#root, dirname(path));
        if (created) return { kind: "created" };
        const info = await this.#head(key);
        if (!info)
          throw new PermanentError(
            "store/corrupt",
            `${path} existed and is gone: something else removes objects from the archive. Find out what does.`,
          );
        if (metadataPath !== undefined && info.sha256 !== options.sha256) await removeIfThere(metadataPath);
        return { kind: "exists", info };
      } finally {
        await removeIfThere(file);
      }
    });
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    return translated(`Checking ${key} in ${this.#root}`, () => this.#head(key));
  }

  // Without a stream, which takes three times as long for a log of common size.
  async read(key: string, range?: ByteRange): Promise<Buffer | undefined> {
    const info = await this.#stat(key);
    if (!info) return undefined;
    const { start, end } = this.#rangeOf(info, range);
    assertReadable(`${key} in ${this.#root}`, end - start, maxReadBytes(key));
    return readFileRange(this.#path(key), start, end);
  }

  async open(key: string, range?: ByteRange): Promise<AsyncIterable<Buffer> | undefined> {
    const info = await this.#stat(key);
    if (!info) return undefined;
    const { start, end } = this.#rangeOf(info, range);
    return streamFile(this.#path(key), start, end);
  }

  async remove(key: string): Promise<RemoveOutcome> {
    assertLogKey(key);
    return translated(`Removing ${key} from ${this.#root}`, async () => {
      const path = this.#path(key);
      const folder = dirname(path);
      const isThere = (await this.#stat(key)) !== undefined;
      if (isThere) {
        await removeIfThere(path);
        await syncFolders(folder, folder);
      }
      // Metadata goes last, so that a crash cannot leave an object without it. This also removes what an earlier crash left.
      const remaining = await listMetadata(path);
      for (const name of remaining) await removeIfThere(join(folder, name));
      if (remaining.length > 0) await syncFolders(folder, folder);
      return { kind: isThere ? "removed" : "absent" };
    });
  }

  async *list(prefix: string, after = ""): AsyncIterable<ListedObject> {
    if (prefix !== "") assertKey(prefix.replace(/\/$/, ""));
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    yield* this.#walk(folder, { prefix, after, isWanted: isPartOfKey });
  }

  async listVersions(prefix: string): Promise<AsyncIterable<ListedVersion>> {
    return this.#listAll(prefix);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async *#listAll(prefix: string): AsyncIterable<ListedVersion> {
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    for await (const object of this.#walk(folder, { prefix, after: "", isWanted: isForeignOrKey }, true)) {
      const metadata = isMetadata(basename(object.key)) ? "metadata" : undefined;
      const oddity = object.isSpecial === true ? "special file" : metadata;
      yield { ...object, isLatest: true, isDeleteMarker: false, oddity };
    }
  }

  #rangeOf({ key, sizeBytes }: ListedObject, range: ByteRange | undefined): ByteRange {
    const { start, end } = range ?? { start: 0, end: sizeBytes };
    if (end <= sizeBytes) return { start, end };
    throw new PermanentError(
      "store/corrupt",
      `${key} in ${this.#root} has ${sizeBytes} bytes, not at least the expected ${end}.`,
    );
  }

  #path(key: string): string {
    assertKey(key);
    return join(this.#root, key);
  }

  #unfinished(): string {
    return join(this.#root, unfinishedFolder, randomUUID());
  }

  async #stat(key: string): Promise<ListedObject | undefined> {
    const path = this.#path(key);
    return translated(`Checking ${key} in ${this.#root}`, async () => {
      await assertReadableFile(this.#root, path);
      return this.#statFile(key, path);
    });
  }

  // A symbolic link is reported as a foreign object and never followed.
  async #statFile(key: string, path: string, hasSpecial = false): Promise<WalkedFile | undefined> {
    try {
      const found = await lstat(path);
      const isSpecial = !found.isFile() && !found.isSymbolicLink();
      if (isSpecial && (!hasSpecial || found.isDirectory())) return undefined;
      return { key, sizeBytes: found.size, lastModified: found.mtime, ...(isSpecial ? { isSpecial } : {}) };
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      throw folderFailure(error, `Checking ${key} in ${this.#root}`);
    }
  }

  async #head(key: string): Promise<ObjectInfo | undefined> {
    const path = this.#path(key);
    await assertLeadsInside(this.#root, dirname(path));
    const found = await this.#statFile(key, path);
    return found && { ...found, ...(await readMetadata(path)) };
  }

  // Metadata is a file in the object's folder, named after the object's hash, and durable before the object is visible. Concurrent writers
  // each write their own; the hash of the object's bytes decides which one applies. A copy of the folder keeps it.
  async #writeMetadata(path: string, { sha256, metadata = {} }: PutOptions): Promise<string | undefined> {
    if (Object.keys(metadata).length === 0) return undefined;
    const file = this.#unfinished();
    const name = join(dirname(path), `.${basename(path)}.${sha256}.meta`);
    const body = Buffer.from(JSON.stringify(metadata));
    try {
      await writeDurably(file, body, createHash("sha256").update(body).digest("hex"));
      const created = await linkExclusively(file, name);
      await syncFolders(dirname(path), dirname(path));
      return created ? name : undefined;
    } finally {
      await removeIfThere(file);
    }
  }

  async *#walk(folder: string, range: WalkRange, hasSpecial = false): AsyncIterable<WalkedFile> {
    const { prefix, after, isWanted } = range;
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch((error: unknown) => {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
      throw folderFailure(error, `Listing ${folder} in ${this.#root}`);
    });
    const all = new Set(entries.map(({ name }) => name));
    // Folders sort with their slash, so that the order is that of the keys.
    const names = entries
      .filter((entry) => isWanted(entry.name, all) || (hasSpecial && isSpecialFile(entry)))
      .map((entry) => entry.name + (entry.isDirectory() ? "/" : ""));
    for (const name of names.toSorted((a, b) => (a < b ? -1 : 1))) {
      const key = folder + name;
      if (name.endsWith("/")) {
        const isPast = key < after && !after.startsWith(key);
        if (!isPast && (key.startsWith(prefix) || prefix.startsWith(key))) yield* this.#walk(key, range, hasSpecial);
      } else if (key > after && key.startsWith(prefix)) {
        const info = await this.#statFile(key, join(this.#root, key), hasSpecial);
        if (info) yield info;
      }
    }
  }
}

async function translated<T>(doing: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    throw folderFailure(error, doing);
  }
}
