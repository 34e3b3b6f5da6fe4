// The simulator's time: frozen, as fast as the world's, or faster. Everything that the simulated GitHub says of time, its Date
// header included, comes from here.
export type Clock = {
  readonly now: () => Date;
  /** Simulated milliseconds since the epoch, with fractions. */
  readonly nowMs: () => number;
  /** Moves time forward by `ms` at once. Time never goes back. */
  readonly advance: (ms: number) => void;
  /** Simulated milliseconds per real millisecond; 0 is frozen. */
  readonly speed: number;
  /** Time goes on from here at another speed. */
  readonly setSpeed: (speed: number) => void;
  /** The simulated time at which the clock was made. */
  readonly start: Date;
  /** Calls `listener` after each `advance` and `setSpeed`; the function that comes back removes it. */
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
