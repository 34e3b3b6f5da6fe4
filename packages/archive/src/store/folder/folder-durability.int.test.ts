// Durability of the folder store: the order of fsync(2), link(2) and resolved calls, read from Node's trace of file system calls.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import { expect, test } from "vitest";
import { z } from "zod";

/** https://nodejs.org/api/tracing.html: `node.fs.async` has a pair of events for each call, without the descriptor of write and fsync. */
const Trace = z.object({
  traceEvents: z.array(
    z.object({
      ph: z.string(),
      name: z.string(),
      id: z.string().optional(),
      ts: z.number(),
      args: z.object({ path: z.string(), src: z.string(), dest: z.string(), result: z.number() }).partial().catch({}),
    }),
  ),
});

type Call = { readonly name: string; readonly path: string; readonly dest: string };

/** What a power failure would lose when a call of the store resolves, and which folders were synced since the previous call. */
type Answer = { readonly unsyncedNames: readonly string[]; readonly syncedFolders: readonly string[] };

/** Does all of `test-support/folder-steps.ts` in `folder`, and returns its file system calls that succeeded, in order. */
async function traceSteps(folder: string): Promise<Call[]> {
  const trace = join(folder, "trace.json");
  const child = fork(
    join(import.meta.dirname, "../../../test-support/folder-steps.ts"),
    [join(folder, "archive"), join(folder, "marks")],
    {
      execArgv: ["--trace-event-categories", "node.fs.async", "--trace-event-file-pattern", trace],
    },
  );
  expect(await once(child, "exit")).toEqual([0, null]);
  const { traceEvents } = Trace.parse(JSON.parse(await readFile(trace, "utf8")));
  const begun = new Map<string, Call>();
  return traceEvents
    .filter(({ ph }) => ph === "b" || ph === "e")
    .toSorted((a, b) => a.ts - b.ts)
    .flatMap(({ ph, name, id = "", args }) => {
      if (ph === "b") begun.set(id, { name, path: args.path ?? args.src ?? "", dest: args.dest ?? "" });
      const call = begun.get(id);
      // The end has the right name: the beginning of a mkdir is traced as an unlink.
      return ph === "e" && call && (name === "access" || (args.result ?? 0) >= 0) ? [{ ...call, name }] : [];
    });
}

/** The object that the metadata file `path` belongs to. */
function objectOf(path: string): string {
  const [, object = ""] = /^\.(.+)\.[0-9a-f]{64}\.meta$/.exec(basename(path)) ?? [];
  return join(dirname(path), object);
}

/** Replays the calls, which are sequential, on a disk that keeps only what was synced. */
function replay(calls: readonly Call[], folder: string) {
  const open: string[] = [];
  const unsyncedFiles = new Set<string>();
  const unsyncedNames = new Set<string>();
  const tooEarly: string[] = [];
  const answers: Record<string, Answer> = {};
  let syncedFolders: string[] = [];
  const folders = new Set<string>();
  const changeName = (path: string) => path.startsWith(join(folder, "archive")) && unsyncedNames.add(path);
  for (const { name, path, dest } of calls) {
    // A file that is read is closed before anything else is synced.
    const current = open.at(-1) ?? "";
    if (name === "open") open.push(path);
    if (name === "close") open.pop();
    if (name === "write") unsyncedFiles.add(current);
    if (name === "mkdir")
      for (let at = path; at !== folder && !folders.has(at); at = dirname(at)) {
        folders.add(at);
        changeName(at);
      }
    if (name === "unlink") {
      if (unsyncedNames.has(objectOf(path))) tooEarly.push(`unlink ${path}`);
      changeName(path);
    }
    if (name === "link") {
      const isMetadataUnsynced = [...unsyncedNames].some((each) => objectOf(each) === dest);
      if (unsyncedFiles.has(path) || isMetadataUnsynced) tooEarly.push(`link ${dest}`);
      changeName(dest);
    }
    if (name === "fsync") {
      unsyncedFiles.delete(current);
      syncedFolders.push(current);
      for (const each of unsyncedNames) if (dirname(each) === current) unsyncedNames.delete(each);
    }
    if (name === "access" && dirname(path) === join(folder, "marks")) {
      // Unfinished writes may be lost.
      const lost = [...unsyncedNames].filter((each) => basename(dirname(each)) !== ".unfinished");
      answers[basename(path)] = { unsyncedNames: lost, syncedFolders };
      syncedFolders = [];
    }
  }
  return { tooEarly, answers, calls: calls.map(({ name }) => name) };
}

test("an object gets its name after its bytes and its metadata are durable, and put resolves after the name is", async () => {
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-durable-"));
  await using _ = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  await mkdir(join(folder, "marks"));
  const { tooEarly, answers, calls } = replay(await traceSteps(folder), folder);

  // Two objects with their metadata, and what is removed of one.
  expect(calls.filter((name) => name === "link")).toHaveLength(4);
  expect(Object.keys(answers)).toEqual(["open", "put", "put from a file", "put again", "remove"]);
  // Neither a name of bytes that are not durable, nor an object that a power failure could leave without its metadata.
  expect(tooEarly).toEqual([]);
  for (const [name, { unsyncedNames }] of Object.entries(answers)) expect(unsyncedNames, name).toEqual([]);

  // Another process may have crashed between link and fsync. A put that finds the object syncs its folder and those above it.
  const above = ["logs/github.com/11/22", "logs/github.com/11", "logs/github.com", "logs", ""].map((part) =>
    join(folder, "archive", part).replace(/\/$/, ""),
  );
  expect(answers["put again"]?.syncedFolders).toEqual(above);
});
