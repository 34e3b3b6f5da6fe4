// Loaded before a worker's own code (`--import`): its clock is off by CLOCK_SHIFT_HOURS. Timers and `performance` go as ever.

// oxlint-disable-next-line node/no-process-env -- a preload has no other way to be told
const shiftMs = Number(process.env["CLOCK_SHIFT_HOURS"] ?? 0) * 3_600_000;
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...parts: [] | ConstructorParameters<typeof RealDate>) {
    if (parts.length === 0) super(RealDate.now() + shiftMs);
    else super(...parts);
  }

  static override now(): number {
    return RealDate.now() + shiftMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
