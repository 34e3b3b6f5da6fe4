// Parses names in the store by the documented formats, independently of the project's own code.

export type JobKey = {
  readonly key: string;
  readonly host: string;
  readonly repositoryId: number;
  readonly runId: number;
  readonly jobId: number;
};

export type StoredKey =
  | ({ readonly kind: "log"; readonly rawSha256: string | undefined } & JobKey)
  | ({ readonly kind: "record"; readonly version: number } & JobKey)
  | ({ readonly kind: "run"; readonly attempt: number } & Omit<JobKey, "jobId">)
  | { readonly kind: "seal"; readonly key: string; readonly sequence: number }
  | { readonly kind: "identity"; readonly key: string }
  /** Metadata of a folder's object, in a file named by the object's hash. */
  | { readonly kind: "sidecar"; readonly key: string; readonly of: string; readonly sha256: string }
  /** An unfinished write, which the store sweeps. */
  | { readonly kind: "unfinished"; readonly key: string }
  | { readonly kind: "probe"; readonly key: string }
  | { readonly kind: "foreign"; readonly key: string };

const id = String.raw`([1-9]\d{0,15})`;
const folder = `([a-z0-9._-]+)/${id}/${id}/${id}`;
const patterns = {
  log: new RegExp(String.raw`^logs/${folder}(?:\.([0-9a-f]{64}))?\.log\.zst$`),
  record: new RegExp(String.raw`^records/${folder}(?:\.(\d+))?\.json$`),
  run: new RegExp(String.raw`^runs/${folder}\.json$`),
  seal: /^seals\/(\d{12})\.json$/,
  sidecar: /^((?:.*\/)?)\.([^/]+)\.([0-9a-f]{64})\.meta$/,
};

export function parseStoredKey(key: string): StoredKey {
  if (key === "archive.json") return { kind: "identity", key };
  if (key.startsWith(".unfinished/")) return { kind: "unfinished", key };
  if (key.startsWith("probe/")) return { kind: "probe", key };
  const [, place = "", name = "", sha256 = ""] = patterns.sidecar.exec(key) ?? [];
  if (sha256 !== "") return { kind: "sidecar", key, of: place + name, sha256 };
  const sequence = patterns.seal.exec(key)?.[1];
  if (sequence !== undefined) return { kind: "seal", key, sequence: Number(sequence) };
  const run = patterns.run.exec(key);
  if (run) return { kind: "run", key, ...idsIn(run), attempt: Number(run[4]) };
  const record = patterns.record.exec(key);
  if (record) return { kind: "record", key, ...idsIn(record), jobId: Number(record[4]), version: Number(record[5] ?? 1) };
  const log = patterns.log.exec(key);
  if (log) return { kind: "log", key, ...idsIn(log), jobId: Number(log[4]), rawSha256: log[5] };
  return { kind: "foreign", key };
}

function idsIn([, host = "", repository, run]: RegExpExecArray): Pick<JobKey, "host" | "repositoryId" | "runId"> {
  return { host, repositoryId: Number(repository), runId: Number(run) };
}
