// A GHES whose certificate is of the company's own authority, for the API and for the logs.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { generate } from "selfsigned";
import { expect, test } from "vitest";

const program = join(import.meta.dirname, "../../test-support/read-log-process.ts");

/** Answers as a GHES on `localhost`: the API sends to a log of 5 bytes on itself. */
async function startGhes() {
  const { private: key, cert } = await generate([{ name: "commonName", value: "localhost" }], {
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] },
    ],
  });
  const server = createServer({ key, cert }, (request, response) => {
    if (request.url?.startsWith("/log")) response.writeHead(200, { "content-length": "5" }).end("text\n");
    else response.writeHead(302, { location: "/log?sig=canary", date: new Date().toUTCString() }).end();
  });
  server.listen(0, "localhost");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    apiUrl: `https://localhost:${address.port}/api/v3`,
    cert,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

test("NODE_EXTRA_CA_CERTS makes a private authority good for the API and the logs, and nothing else does", async () => {
  await using ghes = await startGhes();
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "actions-archive-ca-"));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  const certFile = join(folder, "ca.pem");
  await writeFile(certFile, ghes.cert);
  const readLog = async (env: Readonly<Record<string, string>>) =>
    (await promisify(execFile)(process.execPath, [program, ghes.apiUrl], { env: { PATH: "/usr/bin:/bin", ...env } })).stdout;
  expect(await readLog({ NODE_EXTRA_CA_CERTS: certFile })).toBe("log 5");
  const refused = await readLog({});
  expect(refused).toMatch(/self-signed certificate/);
  expect(refused).not.toContain("canary");
});
