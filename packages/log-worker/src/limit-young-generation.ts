// Limits V8's young generation, whose size can be set only when a process starts.

const flag = "--max-semi-space-size";
/**
 * At V8's default of 32 MiB, dead objects kept some 90 MiB more resident with eight logs in progress (`bench/log-memory.ts`
 * measures it). A GiB of logs takes 122 young-generation collections with 4 MiB, 510 with 1 MiB and 23 with 32 MiB.
 */
const semiSpaceMiB = 4;

/**
 * Replaces the process with one that has the limit: same command line, environment, pid and standard streams. Does nothing when
 * the command line or NODE_OPTIONS sets a limit, and on Windows. Open resources are not closed, so it must be called before any
 * is opened.
 * https://nodejs.org/api/process.html#processexecvefile-args-env
 */
export function limitYoungGeneration(): void {
  const { execPath, execArgv, argv, env } = process;
  const isLimited = [...execArgv, env["NODE_OPTIONS"] ?? ""].some((option) => option.includes(flag));
  if (isLimited || process.platform === "win32") return;
  process.execve?.(execPath, [execPath, `${flag}=${semiSpaceMiB}`, ...execArgv, ...argv.slice(1)], env);
}
