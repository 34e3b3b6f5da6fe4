// DNS rebinding: a log host whose DNS returns a public address for the check, and a private address for the connection.

import { lookup, type LookupAddress } from "node:dns";
import { promisify } from "node:util";

import { afterEach, expect, test, vi } from "vitest";

import { startScriptedServer } from "../../test-support/scripted-server.ts";
import { guardedLookup, parseLogHosts, privateAddressCode } from "./log-hosts.ts";
import { defaultTimeouts, Transport } from "./transport.ts";

// Node.js's own resolver, with responses that the attacker chooses.
vi.mock(import("node:dns"), async (original) => ({
  ...(await original()),
  lookup: vi.fn<() => void>() as unknown as typeof lookup,
}));

afterEach(() => void vi.mocked(lookup).mockReset());

const answered: string[] = [];

/** Answers with each of these in turn, and with the last one from then on. */
function answerWith(...answers: readonly (readonly string[])[]): void {
  answered.length = 0;
  let asked = 0;
  const answer = (...args: readonly unknown[]): void => {
    const addresses = answers[Math.min(asked++, answers.length - 1)] ?? [];
    answered.push(addresses.join(" "));
    const found: LookupAddress[] = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    const options = args[1] as { readonly all?: boolean };
    const callback = args.at(-1) as (error: null, address: unknown, family?: number) => void;
    if (options.all === true) callback(null, found);
    else callback(null, found[0]?.address, found[0]?.family);
  };
  vi.mocked(lookup).mockImplementation(answer);
}

const resolve = (setting: string, host: string) => promisify(guardedLookup(parseLogHosts(setting)))(host, { all: true });

test("every DNS response is checked again, and one private address among public ones is enough", async () => {
  answerWith(["20.60.1.2"], ["127.0.0.1"], ["20.60.1.2", "10.0.0.1"], ["20.60.1.2", "::ffff:7f00:1"], ["20.60.1.3"]);
  const refused = { code: privateAddressCode };
  await expect(resolve("*.example", "a.example")).resolves.toBeDefined();
  await expect(resolve("*.example", "a.example")).rejects.toMatchObject(refused);
  await expect(resolve("*.example", "a.example")).rejects.toMatchObject(refused);
  await expect(resolve("*.example", "a.example")).rejects.toMatchObject(refused);
  await expect(resolve("*.example", "a.example")).resolves.toBeDefined();
});

test("the checked address is the one connected to, without a second lookup", async () => {
  await using server = await startScriptedServer(() => ({ body: "log" }));
  const { port } = new URL(server.origin);
  const rules = parseLogHosts(`http://rebind.example:${port}, http://*.example:${port}`);
  await using transport = new Transport(new URL("https://api.github.com"), rules, { ...defaultTimeouts, connectMs: 2_000 });
  // A second lookup would lead to a port of 127.0.0.2 without a listener.
  answerWith(["127.0.0.1"], ["127.0.0.2"]);
  const response = await transport.downloadLog(new URL(`http://rebind.example:${port}/x`));
  expect(await response.body.text()).toBe("log");
  expect(answered).toEqual(["127.0.0.1"]);

  answerWith(["127.0.0.1"]);
  await expect(transport.downloadLog(new URL(`http://other.example:${port}/x`))).rejects.toMatchObject({
    code: privateAddressCode,
  });
  expect(server.journal).toHaveLength(1);
});
