// How long ago something was, in the largest unit that says enough.

const units = [
  ["d", 24 * 60 * 60],
  ["h", 60 * 60],
  ["min", 60],
] as const;

/** `3 d ago`, `5 h ago`, `12 min ago`, `40 s ago`; `in 5 min` for what is still to come. */
export function formatAge(time: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - time.getTime()) / 1_000);
  const length = formatSeconds(Math.abs(seconds));
  return seconds < 0 ? `in ${length}` : `${length} ago`;
}

/** `2 d`, `90 min` and the like, rounded down to the largest unit of which there are two or more. */
export function formatSeconds(seconds: number): string {
  const [unit, size] = units.find(([, length]) => seconds >= 2 * length) ?? (["s", 1] as const);
  return `${Math.floor(seconds / size)} ${unit}`;
}
