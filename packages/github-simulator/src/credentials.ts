// Credentials: tokens, and the App's installation tokens. Other modules see only a credential's id, never its secret.

import { createHash } from "node:crypto";

import type { Clock } from "./clock.ts";
import type { CredentialOptions } from "./options.ts";
import type { Repository } from "./world/model.ts";
import { fullNameOf } from "./world/world.ts";

export type Credential = {
  readonly id: string;
  readonly kind: "token" | "installation" | "app";
  /** Shown in the message of an exhausted limit. */
  readonly subject: string;
  readonly sees: (repository: Repository) => boolean;
  readonly canReadActions: boolean;
  readonly installationId?: number;
  readonly expiresAtMs?: number;
};

export class Credentials {
  readonly #bySecret = new Map<string, Credential>();
  readonly #clock: Clock;

  constructor(clock: Clock, options: readonly CredentialOptions[]) {
    this.#clock = clock;
    for (const each of options) this.addToken(each);
  }

  addToken(options: CredentialOptions): Credential {
    const wanted = options.repositories?.map((name) => name.toLowerCase());
    const number = this.#bySecret.size + 1;
    const credential: Credential = {
      id: options.id ?? `token-${number}`,
      kind: "token",
      subject: `user ID ${9_000_000 + number}`,
      sees: (repository) => wanted === undefined || wanted.includes(fullNameOf(repository).toLowerCase()),
      canReadActions: options.canReadActions ?? true,
    };
    return this.add(options.token, credential);
  }

  add(secret: string, credential: Credential): Credential {
    this.#bySecret.set(secret, credential);
    return credential;
  }

  /** From now on the secret answers 401. */
  revoke(secret: string): void {
    this.#bySecret.delete(secret);
  }

  /** Revokes all credentials of an installation, as when the App is uninstalled or its tokens are revoked. */
  revokeInstallation(installationId: number): void {
    for (const [secret, credential] of this.#bySecret) {
      if (credential.installationId === installationId) this.#bySecret.delete(secret);
    }
  }

  /** @returns the secret of an `Authorization` header (Bearer, token, or Basic with the token as password); undefined for other forms. */
  static secretOf(header: string | undefined): string | undefined {
    const [scheme, value] = header?.trim().split(/\s+/) ?? [];
    if (scheme === undefined || value === undefined) return undefined;
    if (/^(bearer|token)$/i.test(scheme)) return value;
    if (/^basic$/i.test(scheme)) return Buffer.from(value, "base64").toString("utf8").split(":").at(-1);
    return undefined;
  }

  find(secret: string): Credential | undefined {
    const credential = this.#bySecret.get(secret);
    const hasExpired = credential?.expiresAtMs !== undefined && credential.expiresAtMs <= this.#clock.nowMs();
    return hasExpired ? undefined : credential;
  }
}

/** A short, stable hash for ETags, which differ per credential at GitHub. */
export function fingerprint(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
