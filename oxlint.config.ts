// The linter's rules. Type-aware, because the worst bug of a pipeline is a lost promise; and the directions of imports,
// because a layout that nothing enforces does not last. Each restriction explains itself where it fires.

import { defineConfig, type OxlintOverride } from "oxlint";

const packages = [
  "core",
  "github",
  "archive",
  "database",
  "fetcher",
  "log-worker",
  "loader",
  "cli",
  "embedded",
  "github-simulator",
  "testkit",
] as const;
type Package = (typeof packages)[number];

const systems: readonly Package[] = ["core", "github", "archive", "database"];

/** What the sources of a package may import, and the sentence that stands behind it. */
const directions: Record<Package, { readonly imports: readonly Package[]; readonly why: string }> = {
  core: { imports: [], why: "core is the vocabulary of all others: it imports no package" },
  github: { imports: ["core"], why: "github, archive and database know core alone, never each other" },
  archive: { imports: ["core"], why: "github, archive and database know core alone, never each other" },
  database: { imports: ["core"], why: "github, archive and database know core alone, never each other" },
  fetcher: { imports: systems, why: "a worker imports core, github, archive and database, never another worker" },
  "log-worker": { imports: systems, why: "a worker imports core, github, archive and database, never another worker" },
  loader: {
    imports: ["core", "archive", "database"],
    why: "the loader imports core, archive and database: it never calls GitHub",
  },
  cli: {
    imports: packages.filter((name) => name !== "testkit"),
    why: "testkit is for tests: what runs in production may not need it",
  },
  embedded: { imports: ["core"], why: "the embedded engines know core alone, so that testkit can use them, too" },
  "github-simulator": {
    imports: ["core"],
    why: "the simulator knows GitHub's API, never our client, or both could be wrong alike",
  },
  testkit: {
    imports: [...systems, "embedded", "github-simulator"],
    why: "testkit gives tests their engines and their judge; a worker is started by the test that needs it",
  },
};

const everywhere = [
  {
    regex: String.raw`^\.\.?/.*/src/`,
    message: "Import another package by its name, `@actions-archive/name/file`, not by a path.",
  },
  { regex: String.raw`^\.\.?/.*\.js$`, message: "Node runs the sources as they are: end a relative import in .ts." },
];

function withoutPackages(denied: readonly Package[], why: string) {
  if (denied.length === 0) return [];
  return [
    {
      regex: `^@actions-archive/(${denied.join("|")})/`,
      message: `Imports go process -> github, archive, database -> core: ${why}.`,
    },
  ];
}

/** Two overrides for a package: its sources, and its tests with what they share, which may use testkit and the simulator too. */
function directionOverrides(name: Package): OxlintOverride[] {
  const { imports, why } = directions[name];
  const denied = packages.filter((other) => other !== name && !imports.includes(other));
  const deniedToTests = denied.filter((other) => other !== "testkit" && other !== "github-simulator");
  return [
    {
      files: [`packages/${name}/**/*.ts`],
      rules: { "no-restricted-imports": ["error", { patterns: [...everywhere, ...withoutPackages(denied, why)] }] },
    },
    {
      files: [`packages/${name}/**/*.test.ts`, `packages/${name}/test-support/**/*.ts`],
      rules: {
        "no-restricted-imports": ["error", { paths: noSleep, patterns: [...everywhere, ...withoutPackages(deniedToTests, why)] }],
      },
    },
  ];
}

const noSleep = [
  { name: "node:timers/promises", message: "A test waits for an event or with `vi.waitFor`, never for time to pass." },
];

const noTextInSql = (property: "raw" | "lit") => ({
  object: "sql",
  property,
  message: `sql.${property} puts text into a statement: pass values as parameters. Only files of packages/database are run as text.`,
});

export default defineConfig({
  plugins: ["eslint", "typescript", "unicorn", "oxc", "import", "node", "promise", "vitest"],
  categories: { correctness: "error", suspicious: "error" },
  options: { typeAware: true, reportUnusedDisableDirectives: "error" },
  ignorePatterns: ["packages/database/src/schema.ts"],
  rules: {
    "typescript/no-floating-promises": "error",
    "typescript/no-misused-promises": "error",
    "typescript/switch-exhaustiveness-check": "error",
    "typescript/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
    "typescript/only-throw-error": "error",
    "no-console": "error",
    "import/no-cycle": ["error", { ignoreTypes: false }],
    "import/no-default-export": "error",
    "unicorn/prefer-node-protocol": "error",
    // A helper stands beside its only caller, also when it captures nothing.
    "unicorn/consistent-function-scoping": "off",
    // For callbacks; with await there is nothing to return.
    "promise/always-return": "off",
    // pg's own documentation imports it so.
    "import/no-named-as-default-member": "off",
    // An assertion carries a comment instead; at the edges, where zod parses, there is none.
    "typescript/no-unsafe-type-assertion": "off",
    // The compiler and the exhaustive switch already see to it.
    "typescript/consistent-return": "off",
    // An underscore marks what a pattern must name and nobody reads.
    "no-underscore-dangle": "off",
    // Other people's enums are plain numbers to us.
    "typescript/no-unsafe-enum-assignment": "off",
    "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
    "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
    "node/no-process-env": "error",
    "no-restricted-imports": ["error", { patterns: everywhere }],
    "no-restricted-properties": ["error", noTextInSql("raw"), noTextInSql("lit")],
  },
  overrides: [
    ...packages.flatMap(directionOverrides),
    {
      files: ["test/**/*.test.ts"],
      rules: { "no-restricted-imports": ["error", { paths: noSleep, patterns: everywhere }] },
    },
    {
      // A test file tells one story after another, and may be longer than what it tests.
      files: ["**/*.test.ts"],
      rules: { "max-lines": ["error", { max: 600, skipBlankLines: true, skipComments: true }], "max-lines-per-function": "off" },
    },
    {
      files: ["**/*.test.ts"],
      rules: {
        "vitest/no-focused-tests": "error",
        // Vitest takes a message as the second argument.
        "vitest/valid-expect": ["error", { maxArgs: 2 }],
        // One suite runs on several engines, some of which a machine may lack; a skipped test is told, not hidden.
        "vitest/no-conditional-tests": "off",
        "vitest/no-disabled-tests": "off",
        "vitest/valid-title": "off",
        // Assertions may stand in a function that several tests share.
        "vitest/expect-expect": "off",
        "typescript/unbound-method": "off",
      },
    },
    { files: ["**/main.ts"], rules: { "node/no-process-env": "off" } },
    {
      files: [
        "packages/database/src/migration/migrate.ts",
        "packages/database/src/verify/compare-definitions.ts",
        "packages/database/src/audit/access.ts",
      ],
      rules: { "no-restricted-properties": "off" },
    },
    { files: ["*.config.ts"], rules: { "import/no-default-export": "off" } },
  ],
});
