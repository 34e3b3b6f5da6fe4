// The base URLs that the simulated GitHub shows: of the API and of the website.
export type Urls = {
  /** `http://127.0.0.1:PORT`, or `…/api/v3` for a GHES; no slash at the end. */
  readonly api: string;
  /** The website: only shown, never served. */
  readonly web: string;
};

/** Formats a time like GitHub: whole seconds, UTC. Rounded, not truncated (measured: a first log line at .854 belongs to a step of the next second). */
export function seconds(ms: number): string {
  return new Date(Math.round(ms / 1000) * 1000).toISOString().replace(".000Z", "Z");
}

/** A node id in GitHub's newer form: a prefix and an opaque string. */
export function nodeId(prefix: string, id: number): string {
  return `${prefix}_kwDO${Buffer.from(id.toString(36)).toString("base64url")}`;
}
