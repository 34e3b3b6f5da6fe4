// A process for the folder store's crash test: puts objects of all sizes until it is killed.

import { createHash } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { openFolderStore } from "../src/store/folder/folder-store.ts";

const [, , url = "", name = ""] = process.argv;
const store = await openFolderStore(new URL(url));
const bodies = await mkdtemp(join(fileURLToPath(url), ".bodies-"));
for (let index = 0; ; index += 1) {
  const body = Buffer.alloc(1 + ((index * 7919) % 400_000), `${name} ${index} `);
  const sha256 = createHash("sha256").update(body).digest("hex");
  const path = join(bodies, "body");
  await writeFile(path, body);
  const key = `round/${name.slice(0, -1)}/${index}`;
  await store.put(key, index % 2 === 0 ? body : { path, sizeBytes: body.length }, {
    sha256,
    contentType: "text/plain",
    metadata: { sha256 },
  });
  process.send?.(key);
}
