// A process for the folder store's durability test. Node traces its file system calls. It marks the end of each step in the trace with
// access(2) on a path that ends with the step's name.

import { createHash } from "node:crypto";
import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { openFolderStore } from "../src/store/folder/folder-store.ts";
import type { StoredBody } from "../src/store/store.ts";

const [, , root = "", marks = ""] = process.argv;
const mark = (name: string) => access(join(marks, name)).catch(() => undefined);
const store = await openFolderStore(pathToFileURL(root));
await mark("open");

const bytes = Buffer.alloc(300_000, "text ");
const put = (key: string, body: StoredBody) =>
  store.put(key, body, {
    sha256: createHash("sha256").update(bytes).digest("hex"),
    contentType: "text/plain",
    metadata: { "raw-bytes": "1" },
  });

const key = "logs/github.com/11/22/33.log.zst";
await put(key, bytes);
await mark("put");

const path = join(marks, "spooled");
await writeFile(path, bytes);
await put("logs/github.com/11/22/34.log.zst", { path, sizeBytes: bytes.length });
await mark("put from a file");

await put(key, bytes);
await mark("put again");

await store.remove(key);
await mark("remove");
