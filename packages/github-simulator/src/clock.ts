// The simulator's clock: frozen, at real speed, or faster. Every time that the simulated GitHub shows, including the Date header, is read
// from it.
export type Clock = {
  readonly now: () => Date;
  /** Simulated milliseconds since the epoch, with fractions. */
  readonly nowMs: () => number;
  /** Advances time by `ms` immediately. Time never goes back. */
  readonly advance: (ms: number) => void;
  /** Simulated milliseconds per real millisecond; 0 is frozen. */
  readonly speed: number;
  /** Changes the speed from now on. */
  readonly setSpeed: (speed: number) => void;
  /** The simulated time of the clock's creation. */
  readonly start: Date;
  /** Calls `listener` after each `advance` and `setSpeed`. @returns a function that removes it. */
  readonly onAdvance: (listener: () => void) => () => void;
};

/** @param speed 0: frozen, 1: real time, more: faster. */
export function createClock(start: Date, speed: number): Clock {
  const listeners = new Set<() => void>();
  let pace = { speed, fromMs: start.getTime(), realMs: performance.now() };
  const atReal = (realMs: number) => pace.fromMs + (realMs - pace.realMs) * pace.speed;
  const nowMs = () => atReal(performance.now());
  return {
    now: () => new Date(nowMs()),
    nowMs,
    get speed() {
      return pace.speed;
    },
    setSpeed: (next) => {
      const realMs = performance.now();
      pace = { speed: next, fromMs: atReal(realMs), realMs };
      for (const listener of listeners) listener();
    },
    start,
    advance: (ms) => {
      if (!(ms >= 0)) throw new RangeError(`a clock advances by 0 ms or more, not by ${ms}`);
      pace = { ...pace, fromMs: pace.fromMs + ms };
      for (const listener of listeners) listener();
    },
    onAdvance: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
