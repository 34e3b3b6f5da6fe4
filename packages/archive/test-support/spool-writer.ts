// A process for the spool's crash test: leaves a file open and waits to be killed.

import { openSpool } from "../src/log/spool.ts";

const spool = await openSpool({ dir: process.argv[2] ?? "", maxBytes: 64 * 1024 * 1024 });
const file = spool.open(0);
await file.write(Buffer.alloc(5 * 1024 * 1024));
process.send?.("written");
// A process with a message listener runs until the channel is closed or it is killed.
process.on("message", () => undefined);
