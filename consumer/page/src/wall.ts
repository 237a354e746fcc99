import type { About, Done } from "./connection";
import type { RecordDecoder } from "./decoder";
import { columnsFor } from "./columns";
import { Tile } from "./tile";

export type FeedName = readonly [topic: string, source: string];

const NAMES = new Intl.Collator("en", { numeric: true });

/** All tiles: camera by camera, each along its way through the filters. */
export class Wall {
  private readonly tiles = new Map<string, Tile>();

  constructor(
    private readonly element: HTMLElement,
    private readonly decoder: RecordDecoder,
  ) {
    new ResizeObserver(() => this.layOut()).observe(element);
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
    });
  }

  tick(connected: boolean, why: string): void {
    for (const tile of this.tiles.values()) tile.tick(connected, why);
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

  private arrange(): void {
    const sorted = [...this.tiles.values()].sort(
      (a, b) => compare(a.source, b.source) || a.hops - b.hops || compare(a.topic, b.topic),
    );
    const before = this.element.children;
    if (sorted.length !== before.length || sorted.some((tile, at) => tile.element !== before[at])) {
      this.element.replaceChildren(...sorted.map((tile) => tile.element));
    }
    this.layOut();
  }

  private layOut(): void {
    const stages = new Map<string, number>();
    for (const { source } of this.tiles.values()) stages.set(source, (stages.get(source) ?? 0) + 1);
    const columns = columnsFor(this.element.clientWidth, this.tiles.size, Math.max(0, ...stages.values()));
    this.element.style.setProperty("--columns", String(columns));
  }
}

function key(feed: FeedName): string {
  return JSON.stringify(feed);
}

function compare(a: string, b: string): number {
  return NAMES.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
