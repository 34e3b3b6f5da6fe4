// A log-worker without a queue before it: handles the jobs that it is given, all at once, prints how many calls it made to the
// outside, and ends. Told to, it kills itself at one of these calls. Its one argument is JSON; its settings are a log-worker's.

import { createLogger } from "@actions-archive/core/logger";
import { archiveLog } from "@actions-archive/log-worker/archive-log";
import { loadLogWorkerConfig } from "@actions-archive/log-worker/config";
import { openLogWorker } from "@actions-archive/log-worker/start-log-worker";
import { Client } from "pg";
import { z } from "zod";

const Order = z.object({
  jobIds: z.array(z.int()),
  dieAt: z
    .object({ call: z.int(), moment: z.enum(["before", "during"]).describe("during: it was sent, its answer was not awaited") })
    .optional(),
});

const { jobIds, dieAt } = Order.parse(JSON.parse(process.argv[2] ?? ""));
let calls = 0;
let isCounting = false;

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

/** `object`, with calls of these methods counted. */
function countCalls<T extends object>(object: T, methods: readonly (keyof T & string)[]): T {
  for (const method of methods) {
    // Whatever the method is, it is called with what it was called with.
    const original = object[method] as (...args: unknown[]) => unknown;
    const counted = function counted(this: T, ...args: unknown[]): unknown {
      if (!isCounting) return original.apply(this, args);
      calls += 1;
      const isLast = dieAt?.call === calls;
      if (isLast && dieAt.moment === "before") die();
      const result = original.apply(this, args);
      if (isLast) setImmediate(die);
      return result;
    };
    Object.defineProperty(object, method, { value: counted, configurable: true });
  }
  return object;
}

// Every statement of every connection passes here.
countCalls(Client.prototype, ["query"]);
// oxlint-disable-next-line node/no-process-env -- the main file of a process, as a worker's
const config = loadLogWorkerConfig(process.env);
await using resources = new AsyncDisposableStack();
const { worker } = await openLogWorker(config, { log: createLogger("log-worker", config.LOG_LEVEL), resources });
countCalls(worker.store, ["put", "head", "read", "open"]);
countCalls(worker.github.transport, ["callApi", "downloadLog"]);
countCalls(worker.loadQueue, ["add"]);
const open = worker.spool.open.bind(worker.spool);
worker.spool.open = (bytes) => countCalls(open(bytes), ["write", "finish"]);
isCounting = true;
const handle = archiveLog(worker);
const { signal } = new AbortController();
await Promise.all(jobIds.map((job_id) => handle({ job_id }, { signal, attempt: 1, isLastAttempt: false })));
process.stdout.write(`${JSON.stringify({ calls })}\n`);
