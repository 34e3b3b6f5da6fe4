// node docs/check-proof.mjs PROOF.json PUBLIC-KEY.pem: says whether the owner of the key sealed the object that the proof names.
// Compare the object's own SHA-256 and size with what is printed. Node alone, no dependency; how it works: docs/decisions/0015-seals.md.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const [proofFile, keyFile] = process.argv.slice(2);
const { entry, index, path, head } = JSON.parse(readFileSync(proofFile, "utf8"));
const key = createPublicKey(readFileSync(keyFile));
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const refuse = (why) => (process.stdout.write(`NOT PROVED: ${why}\n`), process.exit(1));

// The head's signature, by DSSE: over the type and the payload, each with its length.
const type = "application/vnd.actions-archive.seal-head+json";
const payload = Buffer.from(head.payload, "base64");
const signed = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]);
if (!verify(null, signed, key, Buffer.from(head.signatures[0].sig, "base64"))) refuse("the seal is not signed by this key");

// The entry's canonical JSON (its names sorted), then up to the root, by RFC 6962.
const seal = JSON.parse(payload);
let hash = sha256(Buffer.of(0), Buffer.from(JSON.stringify(entry, Object.keys(entry).toSorted())));
let [at, last, steps] = [index, seal.entries - 1, [...path]];
for (; last > 0; at >>= 1, last >>= 1) {
  if (at % 2 === 0 && at === last) continue; // Alone at this height: it goes up as it is.
  const other = Buffer.from(steps.shift() ?? refuse("the path is too short"), "hex");
  hash = at % 2 === 1 ? sha256(Buffer.of(1), other, hash) : sha256(Buffer.of(1), hash, other);
}
if (at !== 0 || steps.length > 0 || hash.toString("hex") !== seal.entries_root) refuse("the seal does not hold this entry");
process.stdout.write(
  `PROVED: ${JSON.stringify(entry)} in seal ${seal.sequence} of ${seal.archive_id}, sealed at ${seal.sealed_at}\n`,
);
