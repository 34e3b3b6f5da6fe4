// Durations in the units of their names.

export const [secondMs, minuteMs, hourMs, dayMs] = [1000, 60_000, 3_600_000, 86_400_000];
export const [hourSeconds, daySeconds] = [3_600, 86_400];
