// A log-worker without a queue. Archives the given jobs concurrently, prints the number of its external calls, and exits. With `dieAt` it
// kills itself at one of these calls. Its only argument is JSON; its settings are a log-worker's.

import { createLogger } from "@actions-archive/core/logger";
import { archiveLog } from "@actions-archive/log-worker/archive-log";
import { loadLogWorkerConfig } from "@actions-archive/log-worker/config";
import { openLogWorker } from "@actions-archive/log-worker/start-log-worker";
import { z } from "zod";

import { CallCounter, CrashPoint } from "./crash-at.ts";

const Order = z.object({ jobIds: z.array(z.int()), dieAt: CrashPoint.optional() });

const { jobIds, dieAt } = Order.parse(JSON.parse(process.argv[2] ?? ""));
const counter = new CallCounter(dieAt);
counter.countStatements();
// oxlint-disable-next-line node/no-process-env -- the main file of a process, as a worker's
const config = loadLogWorkerConfig(process.env);
await using resources = new AsyncDisposableStack();
const { worker } = await openLogWorker(config, { log: createLogger("log-worker", config.LOG_LEVEL), resources });
counter.countMethods(worker.store, ["put", "head", "read", "open"]);
counter.countMethods(worker.github.transport, ["callApi", "downloadLog"]);
counter.countMethods(worker.loadQueue, ["add"]);
const open = worker.spool.open.bind(worker.spool);
worker.spool.open = (bytes) => counter.countMethods(open(bytes), ["write", "finish"]);
counter.start();
const handle = archiveLog(worker);
const { signal } = new AbortController();
await Promise.all(jobIds.map((job_id) => handle({ job_id }, { signal, attempt: 1, isLastAttempt: false })));
process.stdout.write(`${JSON.stringify({ calls: counter.calls })}\n`);
