// One worker as a process that is killed, frozen and started again, as under a supervisor: what ends by itself comes back.

import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { type Ended, mainOf, type Program, type Settings, startProgram } from "../processes.ts";

export const workerKinds = ["fetcher", "log-worker", "loader"] as const;
export type WorkerKind = (typeof workerKinds)[number];

export type Sample = { readonly atMs: number; readonly rssKb: number; readonly peakKb: number; readonly fds: number };

/** From its start to its end. */
export type Life = {
  readonly program: Program;
  readonly samples: Sample[];
  /** What a test did to it last, undefined for what ended by itself. */
  asked: NodeJS.Signals | undefined;
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
  readonly lives: Life[] = [];
  /** How those ended that nobody had asked to. */
  readonly unasked: { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly last: string }[] = [];
  /** Those of its next start: whoever operates it may have changed them. */
  settings: Settings;
  readonly #cwd: string;
  #isWanted = false;

  constructor(options: ReplicaOptions) {
    this.name = options.name;
    this.kind = options.kind;
    this.settings = options.settings;
    this.#cwd = options.cwd;
  }

  get life(): Life | undefined {
    return this.lives.at(-1);
  }

  /** Starts it, and again whenever it ends unasked, until `stop`. Does nothing while it runs. */
  start(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#launch();
  }

  /** SIGKILL, then a start after `awayMs`. */
  async kill(awayMs = 0): Promise<void> {
    const { life } = this;
    if (life === undefined) return;
    this.#isWanted = false;
    life.asked = "SIGKILL";
    life.program.stop("SIGKILL");
    await life.program.ended;
    await sleep(awayMs);
    this.start();
  }

  /** SIGSTOP: it neither works nor ends, and its connections stay. */
  freeze(): void {
    if (this.life === undefined) return;
    this.life.isFrozen = true;
    this.life.program.stop("SIGSTOP");
  }

  thaw(): void {
    if (this.life === undefined) return;
    this.life.isFrozen = false;
    this.life.program.stop("SIGCONT");
  }

  /** SIGTERM, and its end. Undefined when it did not run. */
  async stop(): Promise<Ended | undefined> {
    this.#isWanted = false;
    const { life } = this;
    if (life === undefined) return undefined;
    this.thaw();
    life.asked = "SIGTERM";
    life.program.stop("SIGTERM");
    return life.program.ended;
  }

  /** Everything that it has printed, in all of its lives. */
  async output(): Promise<string> {
    const texts = this.lives.map(async ({ program }) => {
      const { stdout, stderr } = await program.ended;
      return stdout + stderr;
    });
    return (await Promise.all(texts)).join("");
  }

  /** Notes its memory and open files now. https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
  async sample(): Promise<void> {
    const { life } = this;
    if (life === undefined) return;
    const { pid } = life.program;
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    const kb = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
    if (kb("VmRSS") > 0) life.samples.push({ atMs: performance.now(), rssKb: kb("VmRSS"), peakKb: kb("VmHWM"), fds: fds.length });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isWanted = false;
    await this.life?.program[Symbol.asyncDispose]();
  }

  #launch(): void {
    const life: Life = {
      program: startProgram(mainOf(this.kind), [], { cwd: this.#cwd, settings: this.settings }),
      samples: [],
      asked: undefined,
      isFrozen: false,
    };
    this.lives.push(life);
    void this.#watch(life);
  }

  async #watch(life: Life): Promise<void> {
    const { code, signal, stdout, stderr } = await life.program.ended;
    if (life.asked !== undefined || !this.#isWanted) return;
    this.unasked.push({ code, signal, last: (stdout + stderr).slice(-1_000) });
    await sleep(restartDelayMs);
    if (this.#isWanted && this.life === life) this.#launch();
  }
}
