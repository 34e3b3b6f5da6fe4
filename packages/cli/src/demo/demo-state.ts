// The demo's persistent state, so that a second demo continues in the same simulated world.

import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

const DemoState = z.object({ seed: z.int(), clockStart: z.iso.datetime() });

export type DemoWorld = { readonly seed: number; readonly clockStart: Date };

/** Reads the demo's world from `folder`, or creates it at the first call. */
export async function readDemoState(folder: string): Promise<DemoWorld> {
  const path = join(folder, "demo.json");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text !== undefined) {
    const { seed, clockStart } = DemoState.parse(JSON.parse(text));
    return { seed, clockStart: new Date(clockStart) };
  }
  const clockStart = new Date(Math.floor(Date.now() / 1000) * 1000);
  await mkdir(folder, { recursive: true });
  await writeFile(`${path}.new`, JSON.stringify({ seed: 1, clockStart }));
  await rename(`${path}.new`, path);
  return { seed: 1, clockStart };
}
