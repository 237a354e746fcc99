import type { Frame } from "./frame";
import { FrameError } from "./frame";

export interface Question {
  readonly id: number;
  readonly bytes: ArrayBuffer;
  readonly source: string;
  readonly digest: boolean;
}

export type Answer =
  | ({ readonly id: number } & Decoded)
  | { readonly id: number; readonly problem: string };

export interface Decoded {
  readonly frame: Frame;
  readonly picture: ImageBitmap;
  /** Whether a redacted picture is black everywhere; false for all others. */
  readonly isBlack: boolean;
  /** Of the record's bytes, where the page was asked for it, else empty. */
  readonly sha256: string;
}

interface Waiting {
  readonly resolve: (decoded: Decoded) => void;
  readonly reject: (error: Error) => void;
  readonly since: number;
}

const GIVE_UP_MS = 10_000;

/** The decoding thread. One that hangs or dies is replaced, and what it was given counts as broken. */
export class RecordDecoder {
  private worker = this.begin();
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;

  constructor(private readonly digest: boolean) {
    setInterval(() => this.checkAlive(), 1000);
  }

  /** Decode a record's bytes, which are taken away; rejects with FrameError. */
  decode(bytes: ArrayBuffer, source: string): Promise<Decoded> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, since: performance.now() });
      this.worker.postMessage({ id, bytes, source, digest: this.digest } satisfies Question, [bytes]);
    });
  }

  private begin(): Worker {
    const worker = new Worker(new URL("./decoder.worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", (event: MessageEvent<Answer>) => this.take(event.data));
    worker.addEventListener("error", () => this.replace());
    return worker;
  }

  private take(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("problem" in answer) waiting?.reject(new FrameError(answer.problem));
    else if (waiting) waiting.resolve(answer);
    else answer.picture.close();
  }

  private checkAlive(): void {
    const oldest = this.waiting.values().next().value;
    if (oldest && performance.now() - oldest.since > GIVE_UP_MS) this.replace();
  }

  private replace(): void {
    this.worker.terminate();
    const lost = [...this.waiting.values()];
    this.waiting.clear();
    this.worker = this.begin();
    for (const { reject } of lost) reject(new FrameError("decoding it took too long or too much"));
  }
}
