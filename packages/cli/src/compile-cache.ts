// Caches compiled modules between calls, since compiling takes most of a short command's time.

import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

/** Uses a folder of the user's own, because a shared one could hold code of others. Without a home or a writable folder, nothing is cached. */
export function enableCommandCache({ XDG_CACHE_HOME, NODE_COMPILE_CACHE }: NodeJS.ProcessEnv): void {
  if (NODE_COMPILE_CACHE) return;
  try {
    enableCompileCache(join(XDG_CACHE_HOME || join(homedir(), ".cache"), "actions-archive"));
  } catch {
    // homedir() throws for a user without an entry in the password file and without HOME.
  }
}
