// Parses Postgres' text form of a row into what psql prints for each column.

/**
 * @param text a row in Postgres' text form, such as `(1,,"a ""b"", c")`: an empty field is null, and within quotes a doubled quote or a
 * backslash escapes the character (https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX).
 * @returns one text per column; null for null. A row without columns and one whose only column is null have the same text: `columns`
 * decides.
 */
export function parseRecordText(text: string, columns: number): (string | null)[] {
  if (columns === 0) return [];
  const fields: (string | null)[] = [];
  for (const match of `,${text.slice(1, -1)}`.matchAll(/,(?:"((?:[^"\\]|""|\\[\s\S])*)"|([^,]*))/g)) {
    const [, quoted, bare = ""] = match;
    if (quoted !== undefined)
      fields.push(quoted.replaceAll(/""|\\([\s\S])/g, (_, escaped: string | undefined) => escaped ?? '"'));
    else fields.push(bare === "" ? null : bare);
  }
  return fields;
}
