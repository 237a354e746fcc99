import { type About, Connection, type Done, type State } from "./connection";
import { RecordDecoder } from "./decoder";
import { duration } from "./liveness";
import { emptyText, footnote, type Words, wordsFor } from "./status";
import { type Places, Wall } from "./wall";

const TICK_MS = 250;
const NEWS_MS = 10_000;

/** The page: what it knows, and how it says it. */
class Page {
  private readonly wall: Wall;
  private readonly connection: Connection;
  private server: boolean | null = null;
  private serverSince = performance.now();
  private state: State | null = null;
  private busSince = performance.now();
  private news = { text: "", until: 0 };

  constructor() {
    const digest = new URLSearchParams(location.search).has("sha256");
    this.wall = new Wall(places(), new RecordDecoder(digest));
    this.connection = new Connection({
      connected: () => this.watch(),
      lost: () => this.lose(),
      state: (state) => this.take(state),
      frame: (about, bytes, done) => this.receive(about, bytes, done),
    });
    document.addEventListener("visibilitychange", () => this.watch());
    setInterval(() => this.tick(), TICK_MS);
    this.tick();
  }

  /** A tab that nobody sees asks for nothing. */
  private watch(): void {
    this.connection.watch(document.visibilityState === "hidden" ? [] : this.wall.feeds);
  }

  private lose(): void {
    if (this.server === false) return;
    this.server = false;
    this.serverSince = performance.now();
    this.tick();
  }

  private receive(about: About, bytes: ArrayBuffer, done: Done): void {
    this.wall.receive(about, bytes, done);
  }

  private take(state: State): void {
    this.tellWhatHappened(state);
    const before = JSON.stringify(this.wall.feeds);
    this.server = true;
    this.state = state;
    this.busSince = performance.now() - state.bus.since;
    this.wall.update(state.feeds);
    if (JSON.stringify(this.wall.feeds) !== before) this.watch();
    element("footnote").textContent = footnote(state);
    this.tick();
  }

  /** Say what went on while it could not be seen. */
  private tellWhatHappened(state: State): void {
    const before = this.state;
    if (!before) return;
    if (this.server === false) {
      const restarted = state.server !== before.server ? "it was started again" : "the connection was lost";
      this.tell(`The page’s server was gone for ${duration(performance.now() - this.serverSince)}: ${restarted}.`);
    } else if (before.bus.word === "away" && state.bus.word === "up") {
      this.tell(`The broker was gone for ${duration(performance.now() - this.busSince)} and is back.`);
    }
  }

  private tell(text: string): void {
    this.news = { text, until: performance.now() + NEWS_MS };
  }

  private tick(): void {
    const now = performance.now();
    const situation = {
      server: this.server,
      since: now - this.serverSince,
      state: this.state,
      busSince: now - this.busSince,
      tiles: this.wall.size,
    };
    const { why } = wordsFor({ ...situation, live: 0 });
    this.wall.tick(this.server === true && why === "", why);
    this.write(wordsFor({ ...situation, live: this.wall.count("live") }), now);
  }

  private write(words: Words, now: number): void {
    element("status").dataset["state"] = words.kind;
    text("status-text", words.short);
    const news = !words.title && now < this.news.until ? this.news.text : "";
    const notice = element("notice");
    notice.hidden = !words.title && !news;
    notice.dataset["kind"] = news ? "news" : "trouble";
    text("notice-title", words.title || news);
    text("notice-text", words.text);
    text("notice-command", words.command);
    element("notice-command").hidden = !words.command;
    element("empty").hidden = words.kind !== "empty";
    if (words.kind === "empty" && this.state) text("empty-text", emptyText(this.state));
    this.writeCounts();
  }

  private writeCounts(): void {
    const tiles = this.wall.size;
    const cameras = new Set(this.wall.feeds.map(([, source]) => source)).size;
    text("counts", tiles ? `${this.wall.count("live")} of ${tiles} live` : "");
    text("cameras", tiles ? ` · ${cameras} ${cameras === 1 ? "camera" : "cameras"}` : "");
  }
}

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

function places(): Places {
  return {
    present: element("wall"),
    past: element("past") as HTMLDetailsElement,
    pastText: element("past-text"),
    pastWall: element("past-wall"),
  };
}

function text(id: string, words: string): void {
  const found = element(id);
  if (found.textContent !== words) found.textContent = words;
}

new Page();
