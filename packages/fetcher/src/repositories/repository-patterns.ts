// Parses ARCHIVE_REPOSITORIES, the patterns that select repositories. Case-insensitive like GitHub's names; exclusions win.

import { ConfigError } from "@actions-archive/core/errors";

export type RepositoryPatterns = {
  /** Literal names: `owner/name`. */
  readonly names: readonly string[];
  /** Owners of patterns with a wildcard: `owner/*`, `owner/prefix-*`. */
  readonly owners: readonly string[];
  /** Whether the patterns select `fullName`. */
  includes(fullName: string): boolean;
};

/**
 * Parses `owner/name`, `owner/*`, `owner/prefix-*` and `!…` for exclusions, comma-separated.
 * @param source the setting or option, for the error message.
 * @throws ConfigError that names every invalid entry.
 */
export function parseRepositoryPatterns(setting: string, source = "ARCHIVE_REPOSITORIES"): RepositoryPatterns {
  const entries = setting
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "");
  const wrong = entries.filter((entry) => !/^(!?[a-z0-9_.-]+\/[a-z0-9_.*-]+|![a-z0-9_.*-]+\/[a-z0-9_.*-]+)$/.test(entry));
  const included = entries.filter((entry) => !entry.startsWith("!"));
  if (wrong.length > 0)
    throw new ConfigError(`${source}: not of the form owner/name, owner/* or !owner/private-*: ${wrong.join(", ")}`);
  if (included.length === 0)
    throw new ConfigError(`${source}: names nothing to archive; an exclusion alone is not enough with a token`);
  const excluded = entries.filter((entry) => entry.startsWith("!")).map((entry) => globOf(entry.slice(1)));
  const globs = included.map(globOf);
  const matches = (patterns: readonly RegExp[], name: string) => patterns.some((pattern) => pattern.test(name));
  return {
    names: [...new Set(included.filter((entry) => !entry.includes("*")))].filter((name) => !matches(excluded, name)),
    owners: [...new Set(included.filter((entry) => entry.includes("*")).map((entry) => entry.slice(0, entry.indexOf("/"))))],
    includes: (fullName) => matches(globs, fullName.toLowerCase()) && !matches(excluded, fullName.toLowerCase()),
  };
}

/** Whether the setting has a pattern that includes repositories, not only exclusions. */
export function hasIncludes(setting: string | undefined): setting is string {
  return setting?.split(",").some((entry) => entry.trim() !== "" && !entry.trim().startsWith("!")) ?? false;
}

/** @returns a predicate that accepts every repository except those that `setting` excludes. */
export function everythingBut(setting: string | undefined): (fullName: string) => boolean {
  const excluded = (setting ?? "")
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry.startsWith("!"))
    .map((entry) => globOf(entry.slice(1)));
  return (fullName) => !excluded.some((pattern) => pattern.test(fullName.toLowerCase()));
}

function globOf(entry: string): RegExp {
  return new RegExp(
    `^${entry
      .split("*")
      .map((part) => RegExp.escape(part))
      .join("[^/]*")}$`,
  );
}
