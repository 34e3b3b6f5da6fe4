// Counts the external calls of this process by wrapping them, and kills the process at one of them: before the call, or while it is in
// progress.

import diagnosticsChannel from "node:diagnostics_channel";
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

import { Client } from "pg";
import { z } from "zod";

export const CrashPoint = z.object({
  call: z.int().positive(),
  moment: z
    .enum(["before", "during"])
    .describe("during: it was sent, its answer was not awaited; of a request over HTTP, the answer has begun to come"),
});
export type CrashPoint = z.output<typeof CrashPoint>;

export class CallCounter {
  readonly #dieAt: CrashPoint | undefined;
  #calls = 0;
  #isCounting = false;

  constructor(dieAt: CrashPoint | undefined) {
    this.#dieAt = dieAt;
  }

  get calls(): number {
    return this.#calls;
  }

  /** Starts counting. Calls before that opened the engines. */
  start(): void {
    this.#isCounting = true;
  }

  /** Counts every statement on every connection to Postgres. */
  countStatements(): void {
    this.countMethods(Client.prototype, ["query"]);
  }

  /** Counts changes of files. Reads leave no trace, and a killed process loses no byte that it wrote. */
  async countFiles(): Promise<void> {
    await using handle = await fs.open(process.execPath);
    this.countMethods(Object.getPrototypeOf(handle) as typeof handle, ["write"]);
    this.countMethods(fs, ["mkdir", "link", "unlink", "rm"]);
    // Updates the named imports of modules that were loaded before.
    syncBuiltinESMExports();
  }

  /** Counts HTTP requests of undici (to GitHub) and of Node (to S3). */
  countRequests(): void {
    const last = new WeakSet<object>();
    const requestOf = (message: unknown) => (message as { readonly request: object }).request;
    const begin = (message: unknown) => void (this.#isLast() && last.add(requestOf(message)));
    const answered = (message: unknown) => void (last.has(requestOf(message)) && die());
    diagnosticsChannel.subscribe("undici:request:create", begin);
    diagnosticsChannel.subscribe("undici:request:headers", answered);
    diagnosticsChannel.subscribe("http.client.request.created", begin);
    diagnosticsChannel.subscribe("http.client.response.finish", answered);
  }

  /** Counts calls of these methods. @returns `object` */
  countMethods<T extends object>(object: T, names: readonly (keyof T & string)[]): T {
    for (const name of names) {
      // Arguments are passed on unchanged, so their types do not matter here.
      const original = object[name] as (...args: unknown[]) => unknown;
      const isLast = () => this.#isLast();
      const counted = function counted(this: T, ...args: unknown[]): unknown {
        if (isLast()) setImmediate(die);
        return original.apply(this, args);
      };
      Object.defineProperty(object, name, { value: counted, configurable: true, writable: true });
    }
    return object;
  }

  /** Counts a call, and kills the process if it must die before it. @returns whether the process dies during this call. */
  #isLast(): boolean {
    if (!this.#isCounting) return false;
    this.#calls += 1;
    if (this.#dieAt?.call !== this.#calls) return false;
    if (this.#dieAt.moment === "before") die();
    return true;
  }
}

function die(): void {
  process.kill(process.pid, "SIGKILL");
}
