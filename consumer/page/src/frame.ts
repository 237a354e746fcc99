/** A frame as the bus carries it; docs/frame.md specifies the bytes. */

export type Box = readonly [left: number, top: number, right: number, bottom: number];

export interface Detection {
  readonly label: string;
  readonly confidence: number;
  readonly box: Box;
  readonly redacted: boolean;
}

export interface Frame {
  readonly source: string;
  readonly epoch: string;
  readonly sequence: bigint;
  readonly capturedNs: bigint;
  readonly width: number;
  readonly height: number;
  readonly detections: readonly Detection[];
  /** How many services the frame has passed. */
  readonly hops: number;
  /** Of the service it passed last: "redaction" and so on. */
  readonly kind: string;
  /** Whether any detector on its way looked for anything, found or not. */
  readonly searched: boolean;
  /** The models that ran on it, in order. */
  readonly models: readonly string[];
}

/** Why a record cannot be shown. */
export class FrameError extends Error {}
