// Kills all processes of a program with SIGKILL, at any time, like a power failure.

import { readdir, readFile, readlink } from "node:fs/promises";
import { sep } from "node:path";

/**
 * Kills the process group of `leader` and all processes that work in `folder`, including Postgres, in no particular order.
 * @returns the number of killed processes. Linux only: it reads /proc.
 */
export async function killEverything(leader: number, folder: string): Promise<number> {
  const killed = new Set<number>();
  // Repeats, since a process may have started another one meanwhile.
  for (let left = await findProcesses(leader, folder); left.length > 0; left = await findProcesses(leader, folder)) {
    for (const pid of left) if (kill(pid)) killed.add(pid);
  }
  return killed.size;
}

/** @returns the processes of the group `leader`, and those with a working directory at or below `folder`. */
export async function findProcesses(leader: number, folder: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map(async (pid) => ((await isOurs(pid, leader, folder)) ? [Number(pid)] : [])));
  return found.flat();
}

async function isOurs(pid: string, leader: number, folder: string): Promise<boolean> {
  // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: after the name in parentheses come state, parent, group.
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (state === undefined || state === "" || state === "Z" || state === "X") return false;
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
  return Number(group) === leader || cwd === folder || cwd.startsWith(folder + sep);
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    // The process has exited in the meantime.
    return false;
  }
}
