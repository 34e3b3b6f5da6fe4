// A worker process that a test kills, freezes and restarts, under a supervisor that restarts it after an unexpected exit.

import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { type Ended, mainOf, type Program, type Settings, startProgram } from "../processes.ts";

export const workerKinds = ["fetcher", "log-worker", "loader"] as const;
export type WorkerKind = (typeof workerKinds)[number];

export type Sample = { readonly atMs: number; readonly rssKb: number; readonly peakKb: number; readonly fds: number };

/** A process of the replica, from its start to its exit. */
export type Lifetime = {
  readonly program: Program;
  readonly samples: Sample[];
  /** The last signal that the test sent; undefined after an unexpected exit. */
  sentSignal: NodeJS.Signals | undefined;
  isFrozen: boolean;
};

export type ReplicaOptions = {
  readonly name: string;
  readonly kind: WorkerKind;
  readonly cwd: string;
  readonly settings: Settings;
};

const restartDelayMs = 1_000;

export class Replica implements AsyncDisposable {
  readonly name: string;
  readonly kind: WorkerKind;
  readonly lifetimes: Lifetime[] = [];
  /** Exits that no signal of the test caused. */
  readonly unexpectedExits: { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly last: string }[] =
    [];
  /** Take effect at the next start. */
  settings: Settings;
  readonly #cwd: string;
  #isStarted = false;

  constructor(options: ReplicaOptions) {
    this.name = options.name;
    this.kind = options.kind;
    this.settings = options.settings;
    this.#cwd = options.cwd;
  }

  get lifetime(): Lifetime | undefined {
    return this.lifetimes.at(-1);
  }

  /** Starts the worker, and restarts it after each unexpected exit until `stop`. Idempotent. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#launch();
  }

  /** Sends SIGKILL, and starts the worker again after `awayMs`. */
  async kill(awayMs = 0): Promise<void> {
    const { lifetime } = this;
    if (lifetime === undefined) return;
    this.#isStarted = false;
    lifetime.sentSignal = "SIGKILL";
    lifetime.program.stop("SIGKILL");
    await lifetime.program.ended;
    await sleep(awayMs);
    this.start();
  }

  /** Sends SIGSTOP. The worker's connections stay open. */
  freeze(): void {
    if (this.lifetime === undefined) return;
    this.lifetime.isFrozen = true;
    this.lifetime.program.stop("SIGSTOP");
  }

  thaw(): void {
    if (this.lifetime === undefined) return;
    this.lifetime.isFrozen = false;
    this.lifetime.program.stop("SIGCONT");
  }

  /** Sends SIGTERM and waits for the exit. @returns undefined when the worker did not run. */
  async stop(): Promise<Ended | undefined> {
    this.#isStarted = false;
    const { lifetime } = this;
    if (lifetime === undefined) return undefined;
    this.thaw();
    lifetime.sentSignal = "SIGTERM";
    lifetime.program.stop("SIGTERM");
    return lifetime.program.ended;
  }

  /** @returns all output, of all lifetimes. */
  async output(): Promise<string> {
    const texts = this.lifetimes.map(async ({ program }) => {
      const { stdout, stderr } = await program.ended;
      return stdout + stderr;
    });
    return (await Promise.all(texts)).join("");
  }

  /** Records the current memory and open files. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
  async sample(): Promise<void> {
    const { lifetime } = this;
    if (lifetime === undefined) return;
    const { pid } = lifetime.program;
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const kb = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
    if (kb("VmRSS") > 0)
      lifetime.samples.push({ atMs: performance.now(), rssKb: kb("VmRSS"), peakKb: kb("VmHWM"), fds: fds.length });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStarted = false;
    await this.lifetime?.program[Symbol.asyncDispose]();
  }

  #launch(): void {
    const lifetime: Lifetime = {
      program: startProgram(mainOf(this.kind), [], { cwd: this.#cwd, settings: this.settings }),
      samples: [],
      sentSignal: undefined,
      isFrozen: false,
    };
    this.lifetimes.push(lifetime);
    void this.#watch(lifetime);
  }

  async #watch(lifetime: Lifetime): Promise<void> {
    const { code, signal, stdout, stderr } = await lifetime.program.ended;
    if (lifetime.sentSignal !== undefined || !this.#isStarted) return;
    this.unexpectedExits.push({ code, signal, last: (stdout + stderr).slice(-1_000) });
    await sleep(restartDelayMs);
    if (this.#isStarted && this.lifetime === lifetime) this.#launch();
  }
}
