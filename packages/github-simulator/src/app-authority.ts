// A GitHub App: its JWTs, its installations and their tokens.
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app

import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from "node:crypto";

import { z } from "zod";

import type { Clock } from "./clock.ts";
import type { Credential, Credentials } from "./credentials.ts";
import type { AppOptions } from "./options.ts";
import { hexOf } from "./random.ts";
import { type Json, renderUser } from "./render/repository.ts";
import { nodeId, seconds, type Urls } from "./render/urls.ts";
import type { Owner, Repository } from "./world/model.ts";
import type { World } from "./world/world.ts";

export type Installation = {
  readonly id: number;
  readonly owner: Owner;
  readonly selected: readonly string[] | undefined;
  readonly sees: (repository: Repository) => boolean;
};

const tokenLifetimeSeconds = 3_600;
const createdAt = "2024-03-01T09:00:00Z";
export const appPermissions = { actions: "read", metadata: "read", administration: "read" } as const;
const Claims = z.object({ iss: z.union([z.string(), z.number()]), iat: z.number(), exp: z.number() });

export class AppAuthority {
  readonly id: number;
  readonly installations: readonly Installation[];
  /** PKCS 8 PEM of the generated key; undefined when a public key was given. */
  readonly privateKey: string | undefined;
  readonly #publicKey: KeyObject;
  readonly #clock: Clock;
  readonly #credentials: Credentials;
  readonly #tokenLifeMs: number;
  #tokens = 0;

  constructor(options: AppOptions, { world, clock, credentials }: { world: World; clock: Clock; credentials: Credentials }) {
    this.id = options.id;
    this.#clock = clock;
    this.#tokenLifeMs = (options.tokenLifetimeSeconds ?? tokenLifetimeSeconds) * 1000;
    this.#credentials = credentials;
    const made = options.publicKey === undefined ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : undefined;
    this.privateKey = made?.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    this.#publicKey = made?.publicKey ?? publicKeyOf(options.publicKey);
    const installed =
      options.installations ??
      world.owners.filter((owner) => owner.type === "Organization").map((owner) => ({ owner: owner.login }));
    this.installations = installed.map((each, index) => installationOf(each, 51_000_000 + options.id * 100 + index, world));
  }

  installationOf(login: string): Installation | undefined {
    return this.installations.find((each) => each.owner.login.toLowerCase() === login.toLowerCase());
  }

  /** @returns the App's credential if `jwt` is valid and signed by the App; else GitHub's message for a 401. */
  authenticate(jwt: string): { readonly credential: Credential } | { readonly message: string } {
    const claims = this.#verifiedClaims(jwt);
    if (claims === undefined) return { message: "A JSON web token could not be decoded" };
    if (String(claims.iss) !== String(this.id)) return { message: "Integration not found" };
    // A client signs by its own clock, which cannot follow a simulated one. The token is valid if it is valid by either clock.
    const clocks = [Date.now(), this.#clock.nowMs()].map((ms) => ms / 1000);
    // With a fast simulated clock a token would age by days in flight, so it gets a minute of real time.
    const graceSeconds = this.#clock.speed > 1 ? 60 * this.#clock.speed : 0;
    if (!clocks.some((now) => claims.exp > now - graceSeconds)) {
      return {
        message:
          "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
      };
    }
    if (!clocks.some((now) => claims.exp <= now + 660))
      return { message: "'Expiration time' claim ('exp') is too far in the future" };
    const credential: Credential = {
      id: `app-${this.id}`,
      kind: "app",
      subject: `app ID ${this.id}`,
      sees: () => false,
      canReadActions: false,
    };
    return { credential };
  }

  /** Issues a token of the installation, by default for one hour of simulated time. */
  issueToken(installation: Installation): { token: string; expiresAtMs: number } {
    const token = `ghs_${hexOf(36, "installation-token", installation.id, ++this.#tokens)}`;
    const expiresAtMs = this.#clock.nowMs() + this.#tokenLifeMs;
    this.#credentials.add(token, {
      id: `installation-${installation.id}`,
      kind: "installation",
      subject: `installation ID ${installation.id}`,
      installationId: installation.id,
      sees: installation.sees,
      canReadActions: true,
      expiresAtMs,
    });
    return { token, expiresAtMs };
  }

  renderApp(urls: Urls): Json {
    const owner = this.installations[0]?.owner;
    return {
      id: this.id,
      slug: "actions-archive",
      client_id: `Iv23li${hexOf(14, "client", this.id)}`,
      node_id: nodeId("A", this.id),
      owner: owner === undefined ? null : renderUser(owner, urls),
      name: "Actions Archive",
      description: "",
      external_url: "https://example.com/",
      html_url: `${urls.web}/apps/actions-archive`,
      created_at: createdAt,
      updated_at: createdAt,
      permissions: appPermissions,
      events: ["workflow_job", "workflow_run"],
      installations_count: this.installations.length,
    };
  }

  renderInstallation(installation: Installation, urls: Urls): Json {
    return {
      id: installation.id,
      account: renderUser(installation.owner, urls),
      repository_selection: installation.selected === undefined ? "all" : "selected",
      access_tokens_url: `${urls.api}/app/installations/${installation.id}/access_tokens`,
      repositories_url: `${urls.api}/installation/repositories`,
      html_url: `${urls.web}/organizations/${installation.owner.login}/settings/installations/${installation.id}`,
      app_id: this.id,
      app_slug: "actions-archive",
      target_id: installation.owner.id,
      target_type: installation.owner.type,
      permissions: appPermissions,
      events: ["workflow_job", "workflow_run"],
      created_at: createdAt,
      updated_at: seconds(this.#clock.start.getTime()),
      single_file_name: null,
      has_multiple_single_files: false,
      single_file_paths: [],
      suspended_by: null,
      suspended_at: null,
    };
  }

  #verifiedClaims(jwt: string): z.output<typeof Claims> | undefined {
    const [header = "", payload = "", signature = ""] = jwt.split(".");
    const isSigned = verify(
      "RSA-SHA256",
      Buffer.from(`${header}.${payload}`),
      this.#publicKey,
      Buffer.from(signature, "base64url"),
    );
    if (!isSigned || tryParseJson(header)?.["alg"] !== "RS256") return undefined;
    const claims = Claims.safeParse(tryParseJson(payload));
    return claims.success ? claims.data : undefined;
  }
}

function publicKeyOf(key: string | KeyObject | undefined): KeyObject {
  if (key === undefined) throw new TypeError("no key");
  return typeof key === "string" ? createPublicKey(key) : key;
}

function installationOf(
  { owner: login, repositories }: { owner: string; repositories?: readonly string[] },
  id: number,
  world: World,
): Installation {
  const owner = world.findOwner(login);
  if (owner === undefined) throw new RangeError(`no owner ${login} to install the App for`);
  const sees = (repository: Repository) => repository.owner === owner && (repositories?.includes(repository.name) ?? true);
  return { id, owner, selected: repositories, sees };
}

function tryParseJson(base64url: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(base64url, "base64url").toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
