// Counts with their nouns in the right number.

/** `1 job`, `2 jobs`. @param plural default: the noun with an s */
export function countText(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
