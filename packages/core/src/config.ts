// Reads settings from an environment: once, whole, and with every wrong one named in one error.

import type { z } from "zod";

import { errorMessage } from "./error-message.ts";
import { ConfigError } from "./errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A rule over more than one setting; answers what is wrong as `NAME: what to do`, or nothing. */
export type SettingsRule = (env: Environment) => string | undefined;

/**
 * Parses the environment with `schema` and checks `rules`. An empty variable counts as unset: compose files pass those.
 * @throws ConfigError that names every wrong setting and what it should be, and repeats no value.
 */
export function loadConfig<S extends z.ZodType>(
  schema: S,
  env: Environment,
  rules: readonly SettingsRule[] = [],
): Readonly<z.output<S>> {
  const present = presentSettings(env);
  const parsed = schema.safeParse(present);
  const wrong = [
    ...(parsed.error?.issues ?? []).map((issue) => `${issue.path.join(".") || "settings"}: ${describeIssue(issue)}`),
    ...rules.map((rule) => rule(present)).filter((line) => line !== undefined),
  ];
  if (parsed.success && wrong.length === 0) return Object.freeze(parsed.data);
  throw new ConfigError(`These settings are missing or wrong:\n${[...new Set(wrong)].map((line) => `  ${line}`).join("\n")}`);
}

/** The variables that are set to something. */
export function presentSettings(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value?.trim() ? [[name, value.trim()]] : [])));
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const isMissing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return isMissing ? "is required" : issue.message;
}

/** A rule from a parser that throws: what it said of the setting, once. */
export function settingError(name: string, env: Environment, parse: (value: string) => unknown): string | undefined {
  const value = env[name];
  if (value === undefined) return undefined;
  try {
    parse(value);
    return undefined;
  } catch (error) {
    return `${name}: ${errorMessage(error).replace(new RegExp(`^${name}:? ?`), "")}`;
  }
}
