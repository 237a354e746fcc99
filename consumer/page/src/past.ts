const PATIENCE_MS = 60_000;

/** Tells which cameras are no longer live; a time in which nothing could be heard does not count. */
export class Past {
  private audibleSince = -Infinity;
  private wasConnected = true;

  /** Note whether anything can be heard now; before the first camera is known it does not matter. */
  note(connected: boolean, now: number): void {
    if (connected && !this.wasConnected) this.audibleSince = now;
    this.wasConnected = connected;
  }

  /** Whether a camera that was last heard then belongs to the past; null while that cannot be told. */
  holds(heard: number, now: number): boolean | null {
    return this.wasConnected ? now - Math.max(heard, this.audibleSince) > PATIENCE_MS : null;
  }
}

/** The line behind which they are folded. */
export function pastText(cameras: number): string {
  return `Not live: ${cameras} ${cameras === 1 ? "camera" : "cameras"}`;
}
