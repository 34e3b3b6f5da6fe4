// Reads settings from an environment and reports all wrong settings in one error.

import type { z } from "zod";

import { errorMessage } from "./error-message.ts";
import { ConfigError } from "./errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A rule for several settings; returns what is wrong as `NAME: what to do`, or undefined. */
export type SettingsRule = (env: Environment) => string | undefined;

/**
 * Parses the environment with `schema` and checks `rules`. Empty variables count as unset, since compose files pass them.
 * @throws ConfigError that names every wrong setting and what it must be, without any values.
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

/** The variables that are not empty, with surrounding white space removed. */
export function presentSettings(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value?.trim() ? [[name, value.trim()]] : [])));
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const isMissing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return isMissing ? "is required" : issue.message;
}

/** Converts the error of a parser to a rule's text, with the setting's name once. */
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
