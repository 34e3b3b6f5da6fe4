// Provides credentials: one token, or a GitHub App with a token for each installation. Secrets leave this file only as Authorization
// headers; all other code uses a credential's id.

import { createPrivateKey, type KeyObject, sign } from "node:crypto";

import { ConfigError, PermanentError } from "@actions-archive/core/errors";

import type { ApiClient, Credential, Subject } from "../api.ts";
import { ownerOf } from "../paths.ts";
import type { Installation } from "../schemas.ts";
import { createInstallationToken, listInstallations, listRepositoriesOf } from "./installations.ts";

export type Credentials =
  | { readonly kind: "token"; readonly token: string }
  /** `privateKey` is PEM, PKCS 1 or PKCS 8; `\n` may be written as two characters, as environment files do. */
  | { readonly kind: "app"; readonly appId: string; readonly privateKey: string };

const minute = 60_000;
/** Lifetime of the cached list of installations, and its lifetime when an owner is not in it. */
const installationsTtlMs = 10 * minute;
const missingOwnerTtlMs = 1 * minute;
/** A token is valid for an hour; it is replaced when less than this remains. */
const tokenMarginMs = 5 * minute;

/** Finds the credential for a subject. Discovers installations and caches their tokens in this process. */
export class CredentialStore {
  readonly #github: ApiClient;
  readonly #now: () => number;
  readonly #single: Credential;
  readonly #isApp: boolean;
  readonly #byInstallation = new Map<number, Credential>();
  readonly #installationOfRepository = new Map<number, number>();
  #installations: { readonly at: number; readonly list: Promise<readonly Installation[]> } | undefined;

  /** @param now GitHub's time in milliseconds, by its last Date header */
  constructor(credentials: Credentials, github: ApiClient, now: () => number) {
    this.#github = github;
    this.#now = now;
    this.#isApp = credentials.kind === "app";
    this.#single = credentials.kind === "token" ? tokenCredential(credentials.token) : appCredential(credentials, now);
  }

  /** The credential for a subject. @throws PermanentError when the App is not installed on the subject's account. */
  async find(subject: Subject, signal?: AbortSignal): Promise<Credential> {
    if ("credential" in subject) return subject.credential;
    if (!this.#isApp) return this.#single;
    if ("server" in subject) {
      const [first] = await this.list();
      if (first === undefined)
        throw new PermanentError("github/not-found", "The App has no installation. Install it on an account.");
      return first;
    }
    if ("repository" in subject && typeof subject.repository === "number")
      return this.#findByRepositoryId(subject.repository, signal);
    const owner = "owner" in subject ? subject.owner : ownerOf(String(subject.repository));
    return this.#findByOwner(owner);
  }

  /** The App itself; undefined with a token. */
  get app(): Credential | undefined {
    return this.#isApp ? this.#single : undefined;
  }

  /** The token, or one credential for each installation that is not suspended. */
  async list(): Promise<readonly Credential[]> {
    if (!this.#isApp) return [this.#single];
    const installations = await this.#listInstallations(installationsTtlMs);
    return installations.map((installation) => this.#credentialOf(installation.id));
  }

  async #findByOwner(owner: string): Promise<Credential> {
    for (const maxAgeMs of [installationsTtlMs, missingOwnerTtlMs]) {
      const installations = await this.#listInstallations(maxAgeMs);
      const found = installations.find((installation) => installation.account?.login?.toLowerCase() === owner.toLowerCase());
      if (found !== undefined) return this.#credentialOf(found.id);
    }
    throw new PermanentError(
      "github/not-found",
      `The App is not installed on ${owner}, or suspended there. Install it or lift the suspension.`,
    );
  }

  /** Drops the cached installation of a repository, which may have moved to another account. */
  forget(repositoryId: number): void {
    this.#installationOfRepository.delete(repositoryId);
  }

  // An id does not contain the owner. With several installations, their lists of repositories are searched for a new id.
  async #findByRepositoryId(repositoryId: number, signal: AbortSignal | undefined): Promise<Credential> {
    const known = this.#installationOfRepository.get(repositoryId);
    if (known !== undefined) return this.#credentialOf(known);
    const installations = await this.#listInstallations(installationsTtlMs);
    const [first, ...others] = installations;
    if (first !== undefined && others.length === 0) return this.#credentialOf(first.id);
    for (const { id } of installations) {
      for await (const page of listRepositoriesOf(this.#github, { credential: this.#credentialOf(id), signal })) {
        for (const repository of page.data) this.#installationOfRepository.set(repository.id, id);
      }
      if (this.#installationOfRepository.has(repositoryId)) return this.#credentialOf(id);
    }
    throw new PermanentError(
      "github/not-found",
      `No installation of the App has access to the repository ${repositoryId}. Grant it access.`,
    );
  }

  async #listInstallations(maxAgeMs: number): Promise<readonly Installation[]> {
    const cached = this.#installations;
    if (cached !== undefined && performance.now() - cached.at < maxAgeMs) return cached.list;
    const fetched = { at: performance.now(), list: this.#fetchInstallations() };
    this.#installations = fetched;
    return fetched.list.catch((error: unknown) => {
      if (this.#installations === fetched) this.#installations = undefined;
      throw error;
    });
  }

  // Without a caller's signal, as for tokens: the result is shared, so one caller's abort must not fail the others.
  async #fetchInstallations(): Promise<readonly Installation[]> {
    const found: Installation[] = [];
    for await (const page of listInstallations(this.#github, { credential: this.#single })) found.push(...page.data);
    return found.filter((installation) => installation.suspended_at == null && installation.account?.login != null);
  }

  #credentialOf(installationId: number): Credential {
    const existing = this.#byInstallation.get(installationId);
    if (existing !== undefined) return existing;
    const fetch = async (): Promise<Token> => {
      const { data } = await createInstallationToken(this.#github, { credential: this.#single, installationId });
      return { authorization: `Bearer ${data.token}`, expiresAt: Date.parse(data.expires_at) };
    };
    const created = new InstallationCredential(installationId, fetch, this.#now);
    this.#byInstallation.set(installationId, created);
    return created;
  }
}

type Token = { readonly authorization: string; readonly expiresAt: number };
/** `authorization` is set once the token was used. */
type TokenInUse = { readonly token: Promise<Token>; authorization?: string };

/** Caches the token of one installation until it expires or is refused. */
class InstallationCredential implements Credential {
  readonly id: string;
  readonly #fetch: () => Promise<Token>;
  readonly #now: () => number;
  #current: TokenInUse | undefined;

  constructor(installationId: number, fetch: () => Promise<Token>, now: () => number) {
    this.id = `installation-${installationId}`;
    this.#fetch = fetch;
    this.#now = now;
  }

  async authorization(): Promise<string> {
    const used = this.#current ?? this.#replace();
    const token = await used.token;
    used.authorization = token.authorization;
    if (token.expiresAt - this.#now() >= tokenMarginMs) return token.authorization;
    // Only the first caller replaces the token; the others use the new one.
    const next = this.#current === used || this.#current === undefined ? this.#replace() : this.#current;
    next.authorization = (await next.token).authorization;
    return next.authorization;
  }

  // Of several callers that were refused with one token, only the first drops it; the others wait for or use the new one.
  renew(authorization: string): boolean {
    if (this.#current?.authorization === authorization) this.#current = undefined;
    return true;
  }

  #replace(): TokenInUse {
    const entry: TokenInUse = { token: this.#fetch() };
    this.#current = entry;
    entry.token.catch(() => {
      if (this.#current === entry) this.#current = undefined;
    });
    return entry;
  }
}

function tokenCredential(token: string): Credential {
  return { id: "token", authorization: async () => `Bearer ${token}`, renew: () => false };
}

/**
 * The App itself, which may only list installations, create their tokens, and manage its webhook.
 * https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
 */
function appCredential({ appId, privateKey }: { appId: string; privateKey: string }, now: () => number): Credential {
  const key = parseKey(privateKey);
  return {
    id: `app-${appId}`,
    authorization: async () => `Bearer ${signJwt(appId, key, now())}`,
    // The response contained GitHub's time: a token that was refused for its times is accepted when it is signed again.
    renew: () => true,
  };
}

function parseKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem.replaceAll(String.raw`\n`, "\n"));
    if (key.asymmetricKeyType === "rsa") return key;
  } catch {
    // Node.js's message may quote the key.
  }
  throw new ConfigError("GITHUB_APP_PRIVATE_KEY (or its file) is not the App's RSA private key in PEM");
}

function signJwt(issuer: string, key: KeyObject, nowMs: number): string {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  // Valid for at most ten minutes, and issued a minute ago to allow for clock drift, as GitHub recommends.
  const unsigned = `${encode({ alg: "RS256", typ: "JWT" })}.${encode({ iat: nowSeconds - 60, exp: nowSeconds + 540, iss: issuer })}`;
  return `${unsigned}.${sign("RSA-SHA256", Buffer.from(unsigned), key).toString("base64url")}`;
}
