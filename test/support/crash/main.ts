// Performs one operation of a worker without its queue, and exits. With `dieAt` it kills itself at one of its external calls. Its only
// argument is JSON; its settings are those of the operation's worker.

import { z } from "zod";

import { CallCounter, CrashPoint } from "../crash-at.ts";
import { operationNames, openOperation } from "./operations.ts";

const Arguments = z.object({
  operation: z.enum(operationNames),
  span: z.object({ since: z.coerce.date(), until: z.coerce.date() }).optional(),
  dieAt: CrashPoint.optional(),
});

const { operation, span, dieAt } = Arguments.parse(JSON.parse(process.argv[2] ?? ""));
const counter = new CallCounter(dieAt);
counter.countStatements();
counter.countRequests();
await counter.countFiles();
await using resources = new AsyncDisposableStack();
const { perform, count } = await openOperation(operation, { env: process.env, resources, span });
count?.(counter);
counter.start();
await perform();
