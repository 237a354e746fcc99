import type { About, Done } from "./connection";
import { columnsFor, spanFor } from "./columns";
import type { RecordDecoder } from "./decoder";
import { Camera, showChildren } from "./camera";
import { Past, pastText } from "./past";
import { Tile } from "./tile";

export type FeedName = readonly [topic: string, source: string];

const NAMES = new Intl.Collator("en", { numeric: true });

/** The page's places for it. */
export interface Places {
  readonly present: HTMLElement;
  /** Folded, behind one line. */
  readonly past: HTMLDetailsElement;
  readonly pastText: HTMLElement;
  readonly pastWall: HTMLElement;
}

/** All cameras, each with its tiles along its way through the filters; those no longer live are folded away. */
export class Wall {
  private readonly tiles = new Map<string, Tile>();
  private readonly cameras = new Map<string, Camera>();
  private readonly past = new Past();
  private readonly gone = new Set<Camera>();
  private folded = true;

  constructor(
    private readonly places: Places,
    private readonly decoder: RecordDecoder,
  ) {
    new ResizeObserver(() => this.layOut()).observe(places.present);
  }

  /** Show exactly these feeds; tiles that stay are not touched. */
  update(feeds: readonly FeedName[]): void {
    const wanted = new Set(feeds.map(key));
    for (const [name, tile] of this.tiles) {
      if (wanted.has(name)) continue;
      tile.remove();
      this.tiles.delete(name);
    }
    for (const feed of feeds) {
      if (!this.tiles.has(key(feed))) this.tiles.set(key(feed), new Tile(...feed, this.decoder));
    }
    this.arrange();
  }

  receive(about: About, bytes: ArrayBuffer, done: Done): void {
    const tile = this.tiles.get(key([about.topic, about.source]));
    if (!tile) return done();
    const before = tile.hops;
    void tile.receive(about, bytes).then(() => {
      done();
      if (tile.hops !== before) this.arrange();
      else this.part();
    });
  }

  tick(connected: boolean, why: string): void {
    for (const tile of this.tiles.values()) tile.tick(connected, why);
    if (this.size > 0) this.past.note(connected, performance.now());
    this.part();
  }

  get feeds(): FeedName[] {
    return [...this.tiles.values()].map((tile) => [tile.topic, tile.source] as const);
  }

  get size(): number {
    return this.tiles.size;
  }

  count(state: Tile["state"]): number {
    return [...this.tiles.values()].filter((tile) => tile.state === state).length;
  }

  /** Put every tile into its camera; a camera without tiles goes. */
  private arrange(): void {
    const ways = new Map<string, Tile[]>();
    for (const tile of this.tiles.values()) ways.set(tile.source, [...(ways.get(tile.source) ?? []), tile]);
    for (const [source, camera] of this.cameras) {
      if (ways.has(source)) continue;
      this.cameras.delete(source);
      this.gone.delete(camera);
    }
    for (const [source, way] of ways) {
      const camera = this.cameras.get(source) ?? new Camera(source);
      this.cameras.set(source, camera);
      camera.show(way.sort((a, b) => a.hops - b.hops || compare(a.topic, b.topic)));
    }
    this.part();
    this.layOut();
  }

  /** Part the cameras that are live, or were a moment ago, from those of the past. */
  private part(): void {
    const now = performance.now();
    for (const camera of this.cameras.values()) {
      const isPast = this.past.holds(camera.heard, now);
      if (isPast === true) this.gone.add(camera);
      if (isPast === false) this.gone.delete(camera);
    }
    const sorted = [...this.cameras.values()].sort((a, b) => compare(a.source, b.source));
    const { present, past, pastText: line, pastWall } = this.places;
    showChildren(present, sorted.filter((camera) => !this.gone.has(camera)).map((camera) => camera.element));
    showChildren(pastWall, sorted.filter((camera) => this.gone.has(camera)).map((camera) => camera.element));
    past.hidden = this.gone.size === 0;
    const text = pastText(this.gone.size);
    if (line.textContent !== text) line.textContent = text;
    this.fold(this.gone.size < this.cameras.size);
  }

  /** Fold the past away as soon as there is a live camera; what a person unfolds stays so. */
  private fold(hasPresent: boolean): void {
    if (this.folded === hasPresent) return;
    this.folded = hasPresent;
    this.places.past.open = !hasPresent;
  }

  private layOut(): void {
    const cameras = [...this.cameras.values()];
    const most = Math.max(0, ...cameras.map((camera) => camera.size));
    const columns = columnsFor(this.places.present.clientWidth, this.tiles.size, most);
    for (const camera of cameras) camera.layOut(spanFor(camera.size, most, columns));
    for (const wall of [this.places.present, this.places.pastWall]) {
      wall.style.setProperty("--columns", String(columns));
    }
  }
}

function key(feed: FeedName): string {
  return JSON.stringify(feed);
}

function compare(a: string, b: string): number {
  return NAMES.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
