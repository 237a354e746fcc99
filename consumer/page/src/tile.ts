import { drawBoxes } from "./boxes";
import type { About } from "./connection";
import type { Decoded, RecordDecoder } from "./decoder";
import { findings, type Findings } from "./findings";
import type { Frame } from "./frame";
import { duration, type Liveness, liveness } from "./liveness";

interface Shown {
  readonly frame: Frame;
  readonly about: About;
  /** performance.now() when the record came to the server, and when its picture was taken. */
  readonly arrived: number;
  readonly captured: number;
}

/** Kinds of objects that are named below the picture. */
const LISTED = 5;

/** One feed on the page. Its data attributes tell what is on the canvas at this moment. */
export class Tile {
  readonly element: HTMLElement;
  private readonly picture: HTMLCanvasElement;
  private readonly boxes: HTMLCanvasElement;
  private readonly stage: HTMLElement;
  private readonly resize = new ResizeObserver(() => this.drawBoxes());
  private shown: Shown | null = null;
  private broken = 0;
  private listed = "";
  private way = { connected: false, why: "" };
  private removed = false;
  private lastSign = performance.now();

  constructor(
    readonly topic: string,
    readonly source: string,
    private readonly decoder: RecordDecoder,
  ) {
    const template = document.querySelector<HTMLTemplateElement>("#tile")!;
    this.element = (template.content.cloneNode(true) as DocumentFragment).querySelector<HTMLElement>(".tile")!;
    this.stage = this.find(".stage");
    this.picture = this.find(".picture") as HTMLCanvasElement;
    this.boxes = this.find(".boxes") as HTMLCanvasElement;
    this.element.dataset["topic"] = topic;
    this.element.dataset["source"] = source;
    this.write(".source", source).title = source;
    this.write(".topic bdi", topic).title = topic;
    this.picture.setAttribute("aria-label", `Live picture of ${source} on ${topic}`);
    this.resize.observe(this.stage);
    this.tick(true, "");
  }

  /** How many services the newest picture has passed; many while that is not known. */
  get hops(): number {
    return this.shown?.frame.hops ?? 99;
  }

  /** performance.now() when the last record came to the server; when the tile was made while none is known. */
  get heard(): number {
    return this.lastSign;
  }

  get state(): Liveness {
    return this.element.dataset["state"] as Liveness;
  }

  /** Decode a record and show it; resolves when that is done or given up. */
  async receive(about: About, bytes: ArrayBuffer): Promise<void> {
    const arrived = performance.now() - about.silent;
    const received = performance.now();
    this.lastSign = arrived;
    try {
      const decoded = await this.decoder.decode(bytes, this.source);
      if (this.removed) decoded.picture.close();
      else this.show(decoded, about, arrived, received);
    } catch (error) {
      this.countBroken(error instanceof Error ? error.message : String(error));
    }
  }

  remove(): void {
    this.removed = true;
    this.resize.disconnect();
    this.element.remove();
  }

  /** Bring every word about time up to date; `why` says what is in the way where the page is not connected. */
  tick(connected: boolean, why: string): void {
    this.way = { connected, why };
    if (!this.shown) {
      this.setState("waiting", this.broken > 0 ? "Unreadable" : "Waiting");
      this.write(".hint", this.broken > 0 ? "What came cannot be read as a frame" : why || "Waiting for its next picture");
      return;
    }
    const { about, arrived, captured } = this.shown;
    const now = performance.now();
    const silent = now - arrived;
    const age = now - captured;
    const state = liveness({ silent, age, rate: about.rate, connected });
    this.setState(state, words(state, silent, age, why));
    this.write(".age", duration(age));
    this.write(".rate", state === "stale" || about.rate === 0 ? "–" : `${about.rate.toFixed(1)} fps`);
  }

  private show({ frame, picture, isBlack, sha256 }: Decoded, about: About, arrived: number, received: number): void {
    const ageThen = Math.max(0, about.now - Number(frame.capturedNs / 1_000_000n));
    this.shown = { frame, about, arrived, captured: received - ageThen };
    this.drawPicture(picture);
    this.drawBoxes();
    this.describe(frame, isBlack);
    if (this.state !== "live") this.tick(this.way.connected, this.way.why);
    const { dataset } = this.element;
    dataset["partition"] = String(about.partition);
    dataset["offset"] = String(about.offset);
    dataset["epoch"] = frame.epoch;
    dataset["width"] = String(frame.width);
    dataset["height"] = String(frame.height);
    dataset["capturedNs"] = String(frame.capturedNs);
    if (sha256) dataset["sha256"] = sha256;
    dataset["sequence"] = String(frame.sequence);
  }

  /** The canvas takes the picture over without a copy, but not its size. */
  private drawPicture(picture: ImageBitmap): void {
    if (this.picture.width !== picture.width) this.picture.width = picture.width;
    if (this.picture.height !== picture.height) this.picture.height = picture.height;
    this.picture.getContext("bitmaprenderer")!.transferFromImageBitmap(picture);
  }

  /** The boxes' canvas has the resolution of the screen, so that lines and letters are sharp at any size. */
  private drawBoxes(): void {
    if (!this.shown) return;
    const { frame } = this.shown;
    const fit = Math.min(this.stage.clientWidth / frame.width, this.stage.clientHeight / frame.height);
    const width = Math.max(1, Math.round(frame.width * fit * devicePixelRatio));
    const height = Math.max(1, Math.round(frame.height * fit * devicePixelRatio));
    if (this.boxes.width !== width) this.boxes.width = width;
    if (this.boxes.height !== height) this.boxes.height = height;
    drawBoxes(this.boxes, frame, devicePixelRatio);
  }

  private describe(frame: Frame, isBlack: boolean): void {
    this.write(".sequence", String(frame.sequence));
    this.write(".size", `${frame.width}×${frame.height}`);
    this.write(".model bdi", frame.models.join(" + "));
    this.find(".model").hidden = frame.models.length === 0;
    const found = findings(frame, isBlack);
    this.write(".blackout", found.blackout).hidden = !found.blackout;
    this.list(found);
  }

  /** Each label stands in an element of its own, so that none can turn the direction of the others. */
  private list({ counts, nothing }: Findings): void {
    const key = JSON.stringify([counts, nothing]);
    if (key === this.listed) return;
    this.listed = key;
    const parts: (string | Node)[] = counts.slice(0, LISTED).flatMap(([label, count], at) => {
      const name = document.createElement("bdi");
      name.textContent = label;
      return [`${at ? ", " : ""}${count} × `, name];
    });
    const more = counts.length - LISTED;
    if (more > 0) parts.push(`, ${more} more ${more === 1 ? "kind" : "kinds"}`);
    if (nothing) parts.push(counts.length > 0 ? ` · ${nothing}` : nothing);
    this.find(".found").replaceChildren(...parts);
  }

  private countBroken(problem: string): void {
    this.broken += 1;
    this.element.dataset["broken"] = String(this.broken);
    const note = this.write(".broken", `${this.broken} unreadable`);
    note.hidden = false;
    note.title = `The last one: ${problem}`;
  }

  private setState(state: Liveness, text: string): void {
    this.element.dataset["state"] = state;
    this.write(".state-text", text);
  }

  private find(selector: string): HTMLElement {
    return this.element.querySelector<HTMLElement>(selector)!;
  }

  private write(selector: string, text: string): HTMLElement {
    const element = this.find(selector);
    if (element.textContent !== text) element.textContent = text;
    return element;
  }
}

function words(state: Liveness, silent: number, age: number, why: string): string {
  if (state === "live") return "Live";
  if (state === "delayed") return `Delayed ${duration(age)}`;
  return `Stale for ${duration(silent)}${why ? ` · ${why}` : ""}`;
}
