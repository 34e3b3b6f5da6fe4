// Restricts the hosts that may serve a log. GitHub's redirect chooses the host, so its name is checked before the request and its address
// after DNS resolution: a redirect must not make a worker probe its own network.

import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";

import { ConfigError } from "@actions-archive/core/errors";
import ipaddr from "ipaddr.js";

export type LogHostRule = {
  readonly protocol: "https:" | "http:";
  /** Lower case; IPv6 in brackets, as in a URL. */
  readonly host: string;
  readonly port: string;
  /** Without `*`: the host may be a private address, or resolve to one. */
  readonly literal: boolean;
};

/** Code of the error with which `guardedLookup` fails a connection; `failure.ts` recognises it. */
export const privateAddressCode = "ERR_LOG_HOST_PRIVATE_ADDRESS";

const defaultPorts = { "https:": "443", "http:": "80" } as const;
const labelPattern = /^[a-z0-9_*-]+$/;

/**
 * Parses GITHUB_LOG_HOSTS: comma-separated host patterns in which `*` matches letters, digits and hyphens within one label. The protocol is
 * https unless an entry is `http://host:port`; `host:port` is https on that port.
 * @throws ConfigError with all invalid entries.
 */
export function parseLogHosts(setting: string): readonly LogHostRule[] {
  const entries = setting
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  const rules = entries.map(tryParseRule);
  const wrong = entries.filter((_, index) => rules[index] === undefined);
  if (entries.length === 0) throw new ConfigError("GITHUB_LOG_HOSTS names no host");
  if (wrong.length > 0) {
    throw new ConfigError(
      `GITHUB_LOG_HOSTS: not a host pattern: ${wrong.join(", ")}. Write host, *.example.com or http://host:port`,
    );
  }
  return rules.filter((rule) => rule !== undefined);
}

/**
 * The log hosts if GITHUB_LOG_HOSTS is unset: GitHub's own hosts, or the API's host of a GHES.
 * https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency/network-details-for-ghecom ·
 * https://github.blog/changelog/2026-10-22-meta-api-endpoints-updated-for-actions-blob-storage
 */
export function defaultLogHosts(apiUrl: URL): readonly LogHostRule[] {
  const host = apiUrl.hostname;
  if (host === "api.github.com") {
    return parseLogHosts("productionresultssa*.blob.core.windows.net, *.actions.githubusercontent.com");
  }
  if (host.startsWith("api.") && host.endsWith(".ghe.com")) {
    const tenant = host.slice("api.".length);
    return parseLogHosts(
      `prod*resultssa*.blob.core.windows.net, *.actions.githubusercontent.com, *.${tenant}, *.actions.${tenant}`,
    );
  }
  return parseLogHosts(apiUrl.origin);
}

/** Whether a log may be requested from `url`: a rule allows scheme, host and port, and it has no user or password. */
export function isAllowed(url: URL, rules: readonly LogHostRule[]): boolean {
  return url.username === "" && url.password === "" && findRule(url, rules) !== undefined;
}

/** Whether traffic to this host stays on this machine. */
export function isLoopback(hostname: string): boolean {
  if (hostname === "localhost" || hostname.endsWith(".localhost")) return true;
  return parseAddress(hostname)?.range() === "loopback";
}

/** Whether the address is public: not private, loopback, link-local, ULA or reserved. */
export function isPublicAddress(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  if (parsed.kind() === "ipv6") {
    // An IPv6-only network reaches IPv4 through 64:ff9b::/96 (DNS64), so the embedded IPv4 address is checked. The local translation of
    // RFC 8215, 64:ff9b:1::/48, can lead anywhere.
    if (parsed.match(ipaddr.IPv6.parse("64:ff9b::"), 96)) return isPublicAddress(parsed.toByteArray().slice(-4).join("."));
    // Only 2000::/3 is global unicast (RFC 4291, section 2.4): `::10.0.0.1`, an old form of an IPv4 address, is not in it.
    if (!parsed.match(ipaddr.IPv6.parse("2000::"), 3)) return false;
  }
  return parsed.range() === "unicast";
}

/**
 * DNS lookup for connections to log hosts: refuses a name with any address that is not public, unless a rule names the host without `*`.
 * With a proxy, the proxy resolves the name and this check does not apply.
 */
export function guardedLookup(rules: readonly LogHostRule[]): LookupFunction {
  return (hostname, options, callback) => {
    const mayBePrivate = rules.some((rule) => rule.literal && rule.host === hostname.toLowerCase());
    lookup(hostname, options, (error, address, family) => {
      if (error !== null || mayBePrivate) return callback(error, address, family);
      const found = Array.isArray(address) ? address.map((entry) => entry.address) : [address];
      if (found.length > 0 && found.every(isPublicAddress)) return callback(null, address, family);
      const refusal = Object.assign(new Error(`${hostname} resolves to an address that is not public`), {
        code: privateAddressCode,
      });
      callback(refusal, address, family);
    });
  };
}

function tryParseRule(entry: string): LogHostRule | undefined {
  const [, scheme, rest] = /^(?:(https?):\/\/)?([^/?#@\s]+)\/?$/i.exec(entry) ?? [];
  if (rest === undefined) return undefined;
  const protocol = scheme?.toLowerCase() === "http" ? "http:" : "https:";
  const url = URL.parse(`${protocol}//${rest}`);
  if (url === null) return undefined;
  const host = url.hostname;
  const labels = host.split(".");
  const isAddress = parseAddress(host) !== undefined;
  // `*` in the last label would allow a whole top-level domain, or every host.
  if (!isAddress && !(labels.every((label) => labelPattern.test(label)) && !labels.at(-1)?.includes("*"))) return undefined;
  return { protocol, host, port: url.port === "" ? defaultPorts[protocol] : url.port, literal: !host.includes("*") };
}

function findRule(url: URL, rules: readonly LogHostRule[]): LogHostRule | undefined {
  const isAddress = parseAddress(url.hostname) !== undefined;
  return rules.find((rule) => {
    if (rule.protocol !== url.protocol) return false;
    if (rule.port !== (url.port === "" ? defaultPorts[rule.protocol] : url.port)) return false;
    // An address is only allowed literally: `*.0.0.1` is not a host pattern.
    return rule.literal ? rule.host === url.hostname : !isAddress && matches(rule.host, url.hostname);
  });
}

function matches(pattern: string, host: string): boolean {
  // `tryParseRule` allows only letters, digits, `_`, `-`, `*` and dots in a pattern.
  const source = pattern.replaceAll(".", "\\.").replaceAll(/\*+/g, "[a-z0-9-]+");
  return new RegExp(`^${source}$`).test(host);
}

function parseAddress(host: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}

/** The rules from the settings, or the default hosts. @throws ConfigError with all invalid entries. */
export function logHostsFrom(settings: {
  readonly GITHUB_API_URL: URL;
  readonly GITHUB_LOG_HOSTS?: string | undefined;
}): readonly LogHostRule[] {
  return settings.GITHUB_LOG_HOSTS === undefined
    ? defaultLogHosts(settings.GITHUB_API_URL)
    : parseLogHosts(settings.GITHUB_LOG_HOSTS);
}
