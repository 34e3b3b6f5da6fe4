// Checks a proof, or an exported case, with a public key and Node 20 or later alone: no dependency, no network, no archive.
// How it works: docs/decisions/0015-seals.md of Actions Archive.
import { createHash, createPublicKey, verify } from "node:crypto";
import { createReadStream, existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const help = `Usage: node check-proof.mjs PROOF.json PUBLIC-KEY.pem
       node check-proof.mjs --case DIR [--public-key FILE]
       node check.mjs [--public-key FILE]     in the folder of an exported case

Checks that the owner of the key sealed the object that the proof names, or every file of an exported case.
Needs Node 20 or later and nothing else. Get the public key, or its SHA-256, from the archive's owner over another way than the proof.

  --case DIR          check the exported case in this folder
  --public-key FILE   the key that the case must be sealed with, instead of the seal-key.pub in the case
Exit codes: 0 everything holds; 1 a check failed, and stderr says which, one sentence a line; 2 wrong usage, or a file that
cannot be read.
`;

class UsageError extends Error {}
class CheckFailed extends Error {}
const fail = (sentence) => {
  throw new CheckFailed(sentence);
};

const mebibyte = 1024 ** 2;
const hex64 = /^[0-9a-f]{64}$/;
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const hasExactly = (value, names) => isObject(value) && Object.keys(value).toSorted().join() === names;
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
// What a terminal would obey, or hide, is not printed; what is too long is cut.
const show = (value) =>
  String(value)
    .replaceAll(/[^\x20-\x7e]/g, "?")
    .slice(0, 400);

function readFile(path, name, maxBytes) {
  try {
    const size = statSync(path).size;
    if (size > maxBytes) fail(`${name} has ${size} bytes, and no such file has more than ${maxBytes}`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof CheckFailed) throw error;
    throw new UsageError(`${name} cannot be read: ${error.code ?? error.message}`);
  }
}

function parseJson(bytes, name) {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return fail(`${name} is not JSON`);
  }
}

function readKey(path, name) {
  const pem = readFile(path, name, mebibyte).toString("utf8");
  if (pem.includes("PRIVATE KEY"))
    throw new UsageError(`${name} is a private key: give the public key, and keep this one secret`);
  let key;
  try {
    key = createPublicKey(pem);
  } catch {
    // OpenSSL's message does not help.
  }
  if (key?.asymmetricKeyType !== "ed25519") throw new UsageError(`${name} is not an Ed25519 public key in PEM`);
  return { key, id: sha256(key.export({ type: "spki", format: "der" })).toString("hex") };
}

/** The payload of a DSSE envelope of `type`; `isSignedBy` says whether a key has signed it. */
function openEnvelope(envelope, type, name) {
  const [signature, ...others] = Array.isArray(envelope?.signatures) ? envelope.signatures : [];
  const isWhole = envelope?.payloadType === type && typeof envelope.payload === "string" && others.length === 0;
  if (!isWhole || typeof signature?.sig !== "string") fail(`${name} has no signed seal of the expected form`);
  const payload = Buffer.from(envelope.payload, "base64");
  const signed = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]);
  const isSignedBy = ({ key, id }) => signature.keyid === id && verify(null, signed, key, Buffer.from(signature.sig, "base64"));
  return { payload, isSignedBy };
}

/** A proof of the right form, with its entry's path followed to the root of the seal that its head describes. */
function openProof(proof, name) {
  if (!hasExactly(proof, "entry,head,index,path")) fail(`${name} is not a proof: it must hold entry, head, index and path`);
  const { entry, index, path, head } = proof;
  const isEntry = hasExactly(entry, "key,sha256,size,version_id") && typeof entry.key === "string" && isCount(entry.size);
  const hasVersion = isEntry && (entry.version_id === null || typeof entry.version_id === "string");
  if (!hasVersion || !hex64.test(entry.sha256)) fail(`${name} has an entry of a wrong form`);
  if (
    !isCount(index) ||
    !Array.isArray(path) ||
    path.length > 64 ||
    !path.every((step) => typeof step === "string" && hex64.test(step))
  )
    fail(`${name} has an index or a path of a wrong form`);
  const { payload, isSignedBy } = openEnvelope(head, "application/vnd.actions-archive.seal-head+json", name);
  const seal = parseJson(payload, `The head of the seal in ${name}`);
  if (!isObject(seal) || !isCount(seal.sequence) || !isCount(seal.entries) || index >= seal.entries)
    fail(`${name} has an index outside its seal, or a head of a wrong form`);
  const root = rootOf(entry, { index, last: seal.entries - 1, path }, name);
  if (root !== seal.entries_root) fail(`${name} does not prove that the seal holds this entry: entry, index or path was changed`);
  return { entry, seal, isSignedBy };
}

// The hash of the entry's canonical JSON (its names sorted), then up to the root, by RFC 6962.
function rootOf({ key, sha256: hash, size, version_id }, { index, last, path }, name) {
  let node = sha256(Buffer.of(0), Buffer.from(JSON.stringify({ key, sha256: hash, size, version_id })));
  const steps = [...path];
  let at = index;
  // Not by shifting bits, which would cut numbers above 2^31.
  for (let end = last; end > 0; at = Math.floor(at / 2), end = Math.floor(end / 2)) {
    if (at % 2 === 0 && at === end) continue; // Alone at this height: it goes up as it is.
    const other = Buffer.from(steps.shift() ?? fail(`${name} has a path that is too short`), "hex");
    node = at % 2 === 1 ? sha256(Buffer.of(1), other, node) : sha256(Buffer.of(1), node, other);
  }
  if (steps.length > 0) fail(`${name} has a path that is too long`);
  return node.toString("hex");
}

function checkProof(proofFile, keyFile) {
  const publicKey = readKey(keyFile, keyFile);
  const { entry, seal, isSignedBy } = openProof(parseJson(readFile(proofFile, proofFile, mebibyte), proofFile), proofFile);
  if (!isSignedBy(publicKey)) fail(`The seal in ${proofFile} is not signed by the key in ${keyFile}`);
  return [
    `PROVED: ${show(JSON.stringify(entry))} in seal ${seal.sequence} of ${show(seal.archive_id)}, sealed at ${show(seal.sealed_at)}`,
    "Compare the object's own size and SHA-256 with these.",
  ];
}

// A case: the files of its manifest, all of them and no others; then what each of them proves.

async function checkCase(folder, keyFile) {
  const files = listFiles(folder);
  if (!files.has("manifest.json")) fail("manifest.json is missing from the case");
  const manifest = readManifest(folder);
  const failures = [];
  for (const name of files)
    if (name !== "manifest.json" && !manifest.has(name)) failures.push(`${name} is in the folder and not in manifest.json`);
  for (const [name, listed] of manifest) {
    if (!files.has(name)) failures.push(`${name} is in manifest.json and missing from the folder`);
    else if (!(await hasContent(join(folder, name), listed)))
      failures.push(`${name} is not the file that manifest.json lists: its size or SHA-256 differs`);
  }
  if (failures.length > 0) fail(failures.join("\n"));
  const key = readCaseKey(folder, keyFile);
  const site = { folder, manifest, seals: readSeals(folder, manifest, key), key };
  const jobIds = new Set([...manifest.keys()].flatMap((name) => /^jobs\/(\d+)\//.exec(name)?.[1] ?? []));
  for (const name of manifest.keys()) if (!isCaseFile(name)) fail(`${name} is not a file of a case`);
  if (jobIds.size === 0) fail("manifest.json lists no job");
  const lines = [...jobIds].map((jobId) => checkJob(site, jobId));
  return [
    ...lines,
    `PROVED: all ${manifest.size + 1} files of the case hold, sealed with the key of SHA-256 ${key.id}`,
    keyFile === undefined
      ? "The key came with the case: compare this SHA-256 with the one that the archive's owner gives you over another way."
      : "The key is the one that you gave.",
  ];
}

function listFiles(folder) {
  let names;
  try {
    names = readdirSync(folder, { recursive: true });
  } catch (error) {
    throw new UsageError(`The folder ${folder} cannot be read: ${error.code ?? error.message}`);
  }
  const files = new Set();
  for (const name of names) {
    const info = lstatSync(join(folder, name));
    if (info.isFile()) files.add(name.replaceAll("\\", "/"));
    else if (!info.isDirectory()) fail(`${name} is neither a file nor a folder, such as a link: no case has one`);
  }
  return files;
}

function readManifest(folder) {
  const bytes = readFile(join(folder, "manifest.json"), "manifest.json", 64 * mebibyte);
  const manifest = parseJson(bytes, "manifest.json");
  const isWhole = hasExactly(manifest, "files,schema_version") && manifest.schema_version === 1 && Array.isArray(manifest.files);
  const isFile = (file) =>
    hasExactly(file, "path,sha256,size") && typeof file.path === "string" && isCount(file.size) && hex64.test(file.sha256);
  if (!isWhole || !manifest.files.every(isFile)) fail("manifest.json is not of the expected form");
  const files = new Map(manifest.files.map(({ path, size, sha256: hash }) => [path, { size, sha256: hash }]));
  const canonical = [...files].map(([path, { size, sha256: hash }]) => ({ path, sha256: hash, size }));
  const isInOrder = canonical.every(({ path }, at) => at === 0 || canonical[at - 1].path < path);
  if (!isInOrder || JSON.stringify({ files: canonical, schema_version: 1 }) !== bytes.toString("utf8"))
    fail("manifest.json is not in canonical form: it was changed");
  return files;
}

async function hasContent(path, { size, sha256: expected }) {
  if (statSync(path).size !== size) return false;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex") === expected;
}

const isCaseFile = (name) =>
  /^(?:README\.md|check\.mjs|seal-key\.pub|seals\/\d{12}\.json|jobs\/(\d+)\/(?:(?:record|run-record)\.json|(?:record|run-record|log)\.proof\.json|\1\.log(?:\.zst)?))$/.test(
    name,
  );

function readCaseKey(folder, keyFile) {
  let own;
  try {
    own = readKey(join(folder, "seal-key.pub"), "seal-key.pub");
  } catch (error) {
    fail(error.message);
  }
  const given = keyFile === undefined ? own : readKey(keyFile, keyFile);
  if (given.id !== own.id) fail(`seal-key.pub of the case is another key than ${keyFile}`);
  return own;
}

// A seal counts that the key signed, or whose hash a later seal names that counts: so a chain goes on from one key to the next.
function readSeals(folder, manifest, key) {
  const seals = new Map();
  const named = new Map();
  for (const name of [...manifest.keys()].filter((each) => each.startsWith("seals/")).toReversed()) {
    const envelope = parseJson(readFile(join(folder, name), name, 128 * mebibyte), name);
    const { payload, isSignedBy } = openEnvelope(envelope, "application/vnd.actions-archive.seal+json", name);
    const hash = sha256(payload).toString("hex");
    const seal = parseJson(payload, name);
    if (
      !isObject(seal) ||
      name !== `seals/${String(seal.sequence).padStart(12, "0")}.json` ||
      !Array.isArray(seal.entries) ||
      !Array.isArray(seal.tombstones)
    )
      fail(`${name} is not a seal of this number`);
    if (!isSignedBy(key) && named.get(seal.sequence) !== hash)
      fail(`${name} is not signed by the key in seal-key.pub, and no later seal of the case names its hash`);
    named.set(seal.sequence - 1, seal.previous_sha256);
    const { sequence, sealed_at, archive_id, entries_root, key_id, tombstones } = seal;
    seals.set(sequence, {
      sequence,
      sealed_at,
      archive_id,
      entries_root,
      key_id,
      tombstones,
      hash,
      entries: seal.entries.length,
    });
  }
  return seals;
}

/** The sealed entry of the file `name`, by the proof in the file `proofName`. */
function checkObject({ folder, manifest, seals, key }, name, proofName) {
  if (!manifest.has(proofName)) fail(`${proofName} is missing: nothing proves ${name}`);
  const { entry, seal, isSignedBy } = openProof(
    parseJson(readFile(join(folder, proofName), proofName, mebibyte), proofName),
    proofName,
  );
  const whole = seals.get(seal.sequence) ?? fail(`${proofName} names seal ${seal.sequence}, which is not in the case`);
  const isOfSeal = whole.hash === seal.sha256 && whole.entries === seal.entries && whole.entries_root === seal.entries_root;
  if (!isOfSeal) fail(`${proofName} has a head that is not that of seal ${seal.sequence}`);
  if (whole.key_id === key.id && !isSignedBy(key)) fail(`${proofName} is not signed by the key in seal-key.pub`);
  const { size, sha256: hash } = manifest.get(name) ?? fail(`${name} is missing from the case`);
  if (entry.size !== size || entry.sha256 !== hash)
    fail(`${name} is not the object that was sealed: its size or SHA-256 differs`);
  return { entry, seal: whole };
}

function checkJob(site, jobId) {
  const { folder, manifest } = site;
  const file = (name) => `jobs/${jobId}/${name}`;
  const recordName = file("record.json");
  const { entry, seal } = checkObject(site, recordName, file("record.proof.json"));
  const record = parseJson(readFile(join(folder, recordName), recordName, 64 * mebibyte), recordName);
  if (!isObject(record) || !isObject(record.log) || String(record.job_id) !== jobId)
    fail(`${recordName} is not the record of job ${jobId}`);
  const { host, repository_id, run_id, run_attempt, log } = record;
  const place = `${host}/${repository_id}/${run_id}`;
  if (!entry.key.startsWith(`records/${place}/${jobId}.`)) fail(`${recordName} was sealed under the key of another job`);
  const runName = file("run-record.json");
  if (manifest.has(runName)) {
    const run = parseJson(readFile(join(folder, runName), runName, 256 * mebibyte), runName);
    const runKey = checkObject(site, runName, file("run-record.proof.json")).entry.key;
    if (runKey !== `runs/${place}/${run_attempt}.json` || run?.job_ids?.includes?.(record.job_id) !== true)
      fail(`${runName} is not the run record of job ${jobId}`);
  }
  const withRun = manifest.has(runName) ? "" : "; the run record of its attempt is not in the case";
  return `job ${jobId} of run ${run_id} in ${show(record.repository)}: ${checkLog(site, jobId, log)}; record sealed at ${show(seal.sealed_at)}${withRun}`;
}

function checkLog(site, jobId, log) {
  const { manifest, seals } = site;
  const [stored, text] = [`jobs/${jobId}/${jobId}.log.zst`, `jobs/${jobId}/${jobId}.log`];
  if (log.state !== "archived") {
    if (manifest.has(stored) || manifest.has(text)) fail(`${text} is in the case, and the record says that there is no log`);
    return `no log, ${show(log.state)}: ${show(log.reason)}`;
  }
  if (!manifest.has(stored) && !manifest.has(text)) {
    const tombstones = [...seals.values()].flatMap((seal) => seal.tombstones);
    const tombstone = tombstones.find(({ key, sha256: hash }) => key === log.key && hash === log.stored_sha256);
    if (!tombstone)
      fail(`${stored} is missing: the record says that there is a log, and no seal of the case says that it was removed`);
    return `log removed by ${show(tombstone.cause)}: ${show(tombstone.reason)}`;
  }
  const { entry } = checkObject(site, stored, `jobs/${jobId}/log.proof.json`);
  const isOfRecord = entry.key === log.key && entry.sha256 === log.stored_sha256 && entry.size === log.stored_bytes;
  if (!isOfRecord) fail(`${stored} is not the log that the record of job ${jobId} names`);
  const { size, sha256: hash } = manifest.get(text) ?? fail(`${text} is missing from the case`);
  if (size !== log.raw_bytes || hash !== log.raw_sha256)
    fail(`${text} is not the text that the record of job ${jobId} names: its size or SHA-256 differs`);
  return `log of ${size} bytes, SHA-256 ${hash}`;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean" }, case: { type: "string" }, "public-key": { type: "string" } },
  });
  if (values.help) return [help.trimEnd()];
  const own = dirname(fileURLToPath(import.meta.url));
  const folder = values.case ?? (positionals.length === 0 && existsSync(join(own, "check.mjs")) ? own : undefined);
  if (folder !== undefined && positionals.length === 0) return checkCase(folder, values["public-key"]);
  if (folder === undefined && values["public-key"] === undefined && positionals.length === 2) return checkProof(...positionals);
  throw new UsageError("Give a proof and a public key, or --case with the folder of a case");
}

try {
  process.stdout.write(`${(await main()).join("\n")}\n`);
} catch (error) {
  const isUsage = error instanceof UsageError || String(error?.code).startsWith("ERR_PARSE_ARGS");
  const isKnown = isUsage || error instanceof CheckFailed;
  // Each sentence is a line of its own.
  const unexpected = "It could not be checked: it is not of the expected form, or a file changed meanwhile";
  const sentences = isKnown ? error.message.split("\n") : [`${unexpected} (${error?.message})`];
  for (const sentence of sentences) process.stderr.write(`${isUsage ? "" : "NOT PROVED: "}${show(sentence)}.\n`);
  if (isUsage) process.stderr.write("--help shows how it is used.\n");
  process.exitCode = isUsage ? 2 : 1;
}
