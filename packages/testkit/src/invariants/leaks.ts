// Finds secrets in text: the ones that the caller names, and the signatures of every signed link that was followed.

/** Shorter lines of a secret are found by chance: the last line of a key may have four letters. */
const leastLetters = 12;
/** HMAC-SHA256 in base64, as it is or encoded for a query. */
const signature = /(?:[A-Za-z0-9+/]|%2[BFbf]){43}(?:=|%3[Dd])/g;
/** The same in Postgres' words: candidates that `leaksIn` then looks up. */
export const signaturePattern = "([A-Za-z0-9+/]|%2[BFbf]){43}(=|%3[Dd])";

export type Secrets = { readonly lines: readonly string[]; readonly signatures: ReadonlySet<string> };

/** @param canaries a key of several lines is looked for line by line, since JSON and settings write its line ends otherwise. */
export function secretsOf(canaries: readonly string[], signatures: ReadonlySet<string>): Secrets {
  const lines = canaries.flatMap((canary) => canary.split("\n")).filter((line) => !line.startsWith("-----"));
  return { lines: lines.filter((line) => line.length >= leastLetters || canaries.includes(line)), signatures };
}

/** Says what leaked into `text`, without repeating it. */
export function leaksIn(text: string, { lines, signatures }: Secrets): string[] {
  const told = lines.flatMap((line) => (text.includes(line) ? [`a secret that begins with ${line.slice(0, 4)}`] : []));
  if (signatures.size === 0) return told;
  const links = [...text.matchAll(signature)].filter(([found]) => signatures.has(decodeURIComponent(found)));
  return links.length === 0 ? told : [...told, "the signature of a link"];
}
