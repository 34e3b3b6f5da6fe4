// Finds secrets in text: given ones, and the signatures of every followed link.

/** Shorter lines of a secret occur by chance: the last line of a key may have four letters. */
const minLetters = 12;
/** HMAC-SHA256 in base64, plain or percent-encoded. */
const signature = /(?:[A-Za-z0-9+/]|%2[BFbf]){43}(?:=|%3[Dd])/g;
/** The same as a Postgres pattern, for candidates that `leaksIn` checks. */
export const signaturePattern = "([A-Za-z0-9+/]|%2[BFbf]){43}(=|%3[Dd])";

export type Secrets = { readonly lines: readonly string[]; readonly signatures: ReadonlySet<string> };

/** @param canaries are searched for line by line, since JSON and settings escape line ends. */
export function secretsOf(canaries: readonly string[], signatures: ReadonlySet<string>): Secrets {
  const lines = canaries.flatMap((canary) => canary.split("\n")).filter((line) => !line.startsWith("-----"));
  return { lines: lines.filter((line) => line.length >= minLetters || canaries.includes(line)), signatures };
}

/** @returns what leaked into `text`, without repeating the secret. */
export function leaksIn(text: string, { lines, signatures }: Secrets): string[] {
  const leaks = lines.flatMap((line) => (text.includes(line) ? [`a secret that begins with ${line.slice(0, 4)}`] : []));
  if (signatures.size === 0) return leaks;
  const links = [...text.matchAll(signature)].filter(([match]) => signatures.has(decodeURIComponent(match)));
  return links.length === 0 ? leaks : [...leaks, "the signature of a link"];
}
