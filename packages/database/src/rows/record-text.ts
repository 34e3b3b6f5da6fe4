// The text that Postgres prints for a whole row, taken apart into what psql prints for each of its columns.

/**
 * @param text a row in Postgres's own form, such as `(1,,"a ""b"", c")`: an empty field is null, and in quotes a doubled quote or a
 * backslash stands for the character itself (https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX).
 * @returns one text a column; null for null. A row without columns and one whose only column is null have the same text: `columns` decides.
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
