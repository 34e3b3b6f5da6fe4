// A worker's handlers without a queue before them: performs one act, and ends. Told to, it kills itself at one of its calls to the
// outside. Its one argument is JSON; its settings are those of the act's worker.

import { z } from "zod";

import { CallCounter, CrashPoint } from "../crash-at.ts";
import { operationNames, openOperation } from "./operations.ts";

const Order = z.object({
  act: z.enum(operationNames),
  span: z.object({ since: z.coerce.date(), until: z.coerce.date() }).optional(),
  dieAt: CrashPoint.optional(),
});

const { act, span, dieAt } = Order.parse(JSON.parse(process.argv[2] ?? ""));
const counter = new CallCounter(dieAt);
counter.countStatements();
counter.countRequests();
await counter.countFiles();
await using resources = new AsyncDisposableStack();
const { perform, count } = await openOperation(act, { env: process.env, resources, span });
count?.(counter);
counter.start();
await perform();
