// Ends everything that a program of ours started, with SIGKILL, whatever it is doing: what a power cut leaves of processes.

import { readdir, readFile, readlink } from "node:fs/promises";
import { sep } from "node:path";

/**
 * Kills the process group of `leader` and whatever works in `folder`, Postgres included, in no particular order.
 * @returns how many processes were killed. Linux only: it looks into /proc.
 */
export async function killEverything(leader: number, folder: string): Promise<number> {
  const killed = new Set<number>();
  // Until none is left: a process may have started another meanwhile.
  for (let left = await findProcesses(leader, folder); left.length > 0; left = await findProcesses(leader, folder)) {
    for (const pid of left) if (kill(pid)) killed.add(pid);
  }
  return killed.size;
}

/** The living processes of the group `leader`, and those whose working directory is `folder` or below it. */
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
    // It ended by itself.
    return false;
  }
}
