import { io, type Socket } from "socket.io-client";

/** What comes beside a record's bytes. Durations and `now` are the server's; its clock may differ from ours. */
export interface About {
  readonly topic: string;
  readonly source: string;
  readonly partition: number;
  readonly offset: number;
  /** Unix time of capture by the record's timestamp, ms. */
  readonly timestamp: number;
  /** The server's Unix time when it sent this, ms. */
  readonly now: number;
  /** ms since the record came to the server. */
  readonly silent: number;
  /** Records a second of this feed, 0 where not known. */
  readonly rate: number;
}

export interface State {
  /** Names one run of the server. */
  readonly server: string;
  readonly kafka: string;
  readonly bus: { readonly word: "connecting" | "up" | "away" | "refused"; readonly since: number; readonly problem: string };
  readonly topics: number;
  readonly feeds: readonly (readonly [topic: string, source: string])[];
  readonly evicted: number;
  readonly nameless: number;
  readonly limit: number;
}

/** Called when the frame is shown, or given up: only then the next one is sent. */
export type Done = () => void;

export interface Listener {
  connected(): void;
  lost(): void;
  state(state: State): void;
  frame(about: About, bytes: ArrayBuffer, done: Done): void;
}

/** The live connection to the page's server; it comes back by itself. */
export class Connection {
  private readonly socket: Socket;

  constructor(listener: Listener) {
    this.socket = io({ transports: ["websocket"], reconnectionDelay: 300, reconnectionDelayMax: 1500, timeout: 4000 });
    this.socket.on("connect", () => listener.connected());
    this.socket.on("disconnect", () => {
      listener.lost();
      this.comeBack();
    });
    this.socket.on("connect_error", () => {
      listener.lost();
      this.comeBack();
    });
    this.socket.on("state", (state: State, done: Done) => {
      listener.state(state);
      done();
    });
    this.socket.on("frame", (about: About, bytes: ArrayBuffer, done: Done) => listener.frame(about, bytes, done));
  }

  /** Ask for exactly these feeds. */
  watch(feeds: readonly (readonly [topic: string, source: string])[]): void {
    if (this.socket.connected) this.socket.emit("watch", feeds);
  }

  /** The library gives up where the server itself ended the connection. */
  private comeBack(): void {
    if (!this.socket.active) setTimeout(() => this.socket.connect(), 1500);
  }
}
