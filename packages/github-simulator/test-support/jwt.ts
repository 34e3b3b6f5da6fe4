// Signs a GitHub App's JWT like a client. For tests only.

import { createPrivateKey, sign } from "node:crypto";

/** @param privateKey PEM. @param lifeSeconds until it expires; GitHub accepts at most ten minutes. */
export function makeJwt(appId: number, privateKey: string | Buffer, lifeSeconds = 300): string {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg: "RS256", typ: "JWT" })}.${encode({ iss: String(appId), iat: now - 60, exp: now + lifeSeconds })}`;
  return `${signed}.${sign("RSA-SHA256", Buffer.from(signed), createPrivateKey(privateKey)).toString("base64url")}`;
}
