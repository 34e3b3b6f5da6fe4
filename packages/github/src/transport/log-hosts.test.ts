// The list of log hosts: its grammar, and what it allows and refuses.

import { promisify } from "node:util";

import { ConfigError } from "@actions-archive/core/errors";
import fc from "fast-check";
import { expect, test } from "vitest";

import {
  defaultLogHosts,
  guardedLookup,
  isAllowed,
  isLoopback,
  isPublicAddress,
  parseLogHosts,
  privateAddressCode,
} from "./log-hosts.ts";

const github = defaultLogHosts(new URL("https://api.github.com"));

test.each([
  "https://productionresultssa19.blob.core.windows.net/actions-results/a/logs/job/job-logs.txt?sig=x",
  "https://productionresultssa199.blob.core.windows.net/",
  "https://PRODUCTIONRESULTSSA0.blob.core.windows.net:443/",
  "https://results-receiver.actions.githubusercontent.com/rest/runs/1/logs",
  "https://pipelinesghubeus12.actions.githubusercontent.com/x",
])("GitHub's own log host is allowed: %s", (url) => {
  expect(isAllowed(new URL(url), github)).toBe(true);
});

test.each([
  "http://productionresultssa19.blob.core.windows.net/",
  "https://productionresultssa19.blob.core.windows.net:8443/",
  "https://productionresultssa19.blob.core.windows.net.evil.example/",
  "https://productionresultssa1.evil.blob.core.windows.net/",
  "https://productionresultssa19.blob.core.windows.net./",
  "https://evil.blob.core.windows.net/",
  "https://productionresultssa19xblob.core.windows.net/",
  "https://x.actionsxgithubusercontent.com/",
  "https://productionresultssa19.blob.core.windows.net@evil.example/",
  "https://user@productionresultssa19.blob.core.windows.net/",
  "https://:password@productionresultssa19.blob.core.windows.net/",
  "https://api.github.com/",
  "https://a.b.actions.githubusercontent.com/",
  "https://127.0.0.1/",
  "https://[::1]/",
  "https://169.254.169.254/latest/meta-data",
  "file:///etc/passwd",
  "ftp://productionresultssa19.blob.core.windows.net/",
  "https://productionresultssa19.blob.core.windоws.net/",
  "https://рroductionresultssa19.blob.core.windows.net/",
  "https://productionresultssa19.blob.core.windows.net\u3002evil.example/",
  "https://productionresultssa19\uFF0Eevil.blob.core.windows.net/",
  "https://evil.example\\.productionresultssa19.blob.core.windows.net/",
  "https://evil.example#.productionresultssa19.blob.core.windows.net/",
  "https://evil.example/?.productionresultssa19.blob.core.windows.net/",
  "https://productionresultssa19%2eblob.core.windows.net.evil.example/",
  "https://xn--productionresultssa19.blob.core.windows.net/",
  "https://2130706433/",
  "https://0x7f.1/",
  "https://0177.0.0.1/",
  "https://\u2460\u2461\u2466.0.0.1/",
  "https://[::ffff:127.0.0.1]/",
  "https://[64:ff9b::7f00:1]/",
  "https://[2002:7f00:1::]/",
])("anything else is refused: %s", (url) => {
  expect(isAllowed(new URL(url), github)).toBe(false);
});

test("a name is compared with the list in its normalised form", () => {
  const written = [
    "https://productionresultssa19\u3002blob\uFF0Ecore\uFF61windows.net/",
    "https://\uFF50roductionresultssa19.blob.core.windows.net/",
    "https://production\u00ADresultssa19.blob.core.windows.net/",
    "https://productionresultssa19%2eblob%2ecore.windows.net/",
    "https://productionresultssa19.blob.core.windows.net\\@evil.example/",
  ];
  for (const text of written) {
    const url = new URL(text);
    expect([url.hostname, isAllowed(url, github)]).toEqual(["productionresultssa19.blob.core.windows.net", true]);
  }
});

test.each(["0177.0.0.1", "0x7f000001", "2130706433", "127.1", "①②⑦.0.0.1"])(
  "%s is this machine, and no pattern is it",
  (host) => {
    const url = new URL(`https://${host}/`);
    expect([url.hostname, isAllowed(url, parseLogHosts("*.example, *1.example"))]).toEqual(["127.0.0.1", false]);
    expect(isLoopback(url.hostname)).toBe(true);
  },
);

test("on a GHES the API's host serves logs, on its own port, and on GHE.com the tenant's hosts and GitHub's stores do", () => {
  expect(isAllowed(new URL("https://ghes.example/_services/x"), defaultLogHosts(new URL("https://ghes.example/api/v3")))).toBe(
    true,
  );
  expect(isAllowed(new URL("https://ghes.example:8443/x"), defaultLogHosts(new URL("https://ghes.example/api/v3")))).toBe(false);
  expect(isAllowed(new URL("http://127.0.0.1:81/x"), defaultLogHosts(new URL("http://127.0.0.1:81/api/v3")))).toBe(true);
  const tenant = defaultLogHosts(new URL("https://api.octocorp.ghe.com"));
  expect(isAllowed(new URL("https://prodweu01resultssa2.blob.core.windows.net/x"), tenant)).toBe(true);
  expect(isAllowed(new URL("https://results.actions.octocorp.ghe.com/x"), tenant)).toBe(true);
  expect(isAllowed(new URL("https://results.actions.other.ghe.com/x"), tenant)).toBe(false);
});

test("entries are read with their scheme, port and literalness", () => {
  expect(parseLogHosts(" *.Blob.example ,http://10.0.0.5:9000, minio.internal:9443,[FD00::1]")).toEqual([
    { protocol: "https:", host: "*.blob.example", port: "443", literal: false },
    { protocol: "http:", host: "10.0.0.5", port: "9000", literal: true },
    { protocol: "https:", host: "minio.internal", port: "9443", literal: true },
    { protocol: "https:", host: "[fd00::1]", port: "443", literal: true },
  ]);
});

test.each([
  "",
  " , ",
  "*",
  "host.*",
  "https://",
  "ftp://host",
  "a/b",
  "https://a.example/path",
  "user@host",
  "a b",
  "host:99999",
  "-_*%",
  "a..b",
  "*.0.0.1",
  "10.0.*",
])("%j is not a list of hosts", (setting) => {
  expect(() => parseLogHosts(setting)).toThrow(ConfigError);
});

test("the error names every wrong entry", () => {
  expect(() => parseLogHosts("good.example, bad/one, *")).toThrow(/bad\/one, \*/);
});

test("a star matches part of one label and never a dot, an address or an empty text", () => {
  const rules = parseLogHosts("*.store.example, logs*.example, *.nip.io");
  expect(isAllowed(new URL("https://a-1.store.example"), rules)).toBe(true);
  expect(isAllowed(new URL("https://a.b.store.example"), rules)).toBe(false);
  expect(isAllowed(new URL("https://store.example"), rules)).toBe(false);
  expect(isAllowed(new URL("https://logs.example"), rules)).toBe(false);
  expect(isAllowed(new URL("https://[::1]"), rules)).toBe(false);
});

test("an address is allowed by its own name only, however it is written", () => {
  const rules = parseLogHosts("10.0.0.5, http://[::1]:80");
  expect(isAllowed(new URL("https://10.0.0.5/"), rules)).toBe(true);
  expect(isAllowed(new URL("https://0xa000005/"), rules)).toBe(true);
  expect(isAllowed(new URL("https://10.0.0.6/"), rules)).toBe(false);
  expect(isAllowed(new URL("http://[0:0::1]/"), rules)).toBe(true);
});

test("no host that differs from a pattern outside its star is ever allowed", () => {
  const rules = parseLogHosts("logs*.store.example");
  const near = fc.constantFrom("logs", "logs1", "logs-x", "xlogs1", "store", "example", "storeexample");
  const label = fc.oneof(near, fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/));
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), fc.constantFrom("", ".store.example"), (labels, tail) => {
      const url = URL.parse(`https://${labels.join(".")}${tail}/`);
      fc.pre(url !== null);
      const [first, ...rest] = url.hostname.split(".");
      const isNamed = rest.join(".") === "store.example" && /^logs[a-z0-9-]+$/.test(first ?? "");
      expect(isAllowed(url, rules)).toBe(isNamed);
    }),
  );
});

test.each([
  "10.1.2.3",
  "172.16.0.1",
  "192.168.1.1",
  "127.0.0.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "fe80::1",
  "fd00::1",
  "::ffff:10.0.0.1",
  "64:ff9b::a00:1",
  "64:ff9b:1::143c:102",
  "::10.0.0.1",
  "::7f00:1",
  "::ffff:0:10.0.0.1",
  "fec0::1",
  "fd00:ec2::254",
  "2002:a00:1::",
  "2002:7f00:1::",
  "2001:0:7f00:1::1",
  "2001:db8::1",
  "fe80::1%eth0",
  "::ffff:7f00:1",
  "64:ff9b::7f00:1",
  "64:ff9b::a9fe:a9fe",
  "192.0.2.1",
  "198.18.0.1",
  "203.0.113.1",
  "240.0.0.1",
  "127.1",
  "0177.0.0.1",
  "0x7f000001",
  "2130706433",
  "ff02::1",
  "not an address",
])("%s is not public", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each(["20.60.1.2", "2603:1030::1", "::ffff:20.60.1.2", "64:ff9b::143c:102"])("%s is public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test("loopback is known by name and by address", () => {
  expect(["localhost", "127.0.0.9", "[::1]", "a.localhost"].map(isLoopback)).toEqual([true, true, true, true]);
  expect(["10.0.0.1", "localhost.example", "example.com"].map(isLoopback)).toEqual([false, false, false]);
});

test("a name that leads to this machine is refused at DNS, unless a rule names it without a star", async () => {
  const resolve = (setting: string) => promisify(guardedLookup(parseLogHosts(setting)))("localhost", { all: true });
  await expect(resolve("*.example")).rejects.toMatchObject({ code: privateAddressCode });
  await expect(resolve("http://localhost:9000")).resolves.toBeDefined();
});
