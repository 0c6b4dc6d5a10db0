// The strip of the sweep: what the machine is doing, from the server's events.
import { ask, events, Trouble } from "./server.js";
import { onLanguage, say } from "./words.js";

const byId = id => document.getElementById(id);
const rounded = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits, useGrouping: false });

/** 1536 -> "1.5 KiB" */
export function bytes(count, base = 1024) {
  const units = base === 1024 ? ["B", "KiB", "MiB", "GiB", "TiB"] : ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [count, 0];
  while (value >= base && unit < units.length - 1) [value, unit] = [value / base, unit + 1];
  return `${rounded(value, value < 10 && unit > 0 ? 2 : value < 100 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** 12666112 -> "12.7 M", 1e10 -> "10 B" */
function parameters(count) {
  return count >= 1e9 ? `${rounded(count / 1e9, 1)} B` : `${rounded(count / 1e6, 1)} M`;
}

export const seconds = value => value >= 10 ? rounded(value, 0) : rounded(value, value < 1 ? 2 : 1);

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

export class SweepStrip extends EventTarget {
  model;
  /** The last event of a sweep; undefined while the server is away. */
  last;
  /** Of this page: how many texts are under way. */
  yours = () => 0;
  #cells = [];
  #state = "Connecting";
  #wait = 0;
  #wake = () => {};

  constructor() {
    super();
    onLanguage(() => this.#showAll());
  }

  /** Follows the server's events for good. Dispatches "key" when it wants a key, "lost" and "back", and "sweep". */
  async follow() {
    let failures = 0;
    for (;;) {
      try {
        const answer = await ask("events");
        if (failures > 0) this.dispatchEvent(new Event("back"));
        failures = 0;
        for await (const { event, data } of events(answer)) if (data !== undefined) this.#take(event, JSON.parse(data));
      } catch (error) {
        if (error instanceof Trouble && error.status === 401) {
          this.#away("Key");
          this.dispatchEvent(new Event("key"));
          await new Promise(resolve => { this.#wake = resolve; });
          continue;
        }
        // 503 alone says that too many watch, too.
        if (error instanceof Trouble && error.code === "loading") this.#away("Loading");
      }
      if (failures++ === 0) this.dispatchEvent(new Event("lost"));
      await this.#countdown(Math.min(2 ** (failures - 1), 8));
    }
  }

  /** Tries again at once. */
  retry() { this.#wake(); }

  async #countdown(from) {
    let woken = false;
    this.#wake = () => { woken = true; };
    for (let left = from; left > 0 && !woken; left -= 0.25) {
      if (left === Math.floor(left)) {
        this.#wait = left;
        this.#away(this.#state === "Loading" ? "Loading" : "Gone");
      }
      await pause(250);
    }
    this.#state = "Connecting";
  }

  #away(state) {
    this.#state = state;
    this.last = undefined;
    this.#show();
  }

  #take(event, value) {
    if (event === "model") {
      this.model = value;
      // The first event of a sweep may take seconds where nobody is on one.
      this.last ??= {
        running: false, pinned: value.pinned, memory: value.memory, rows: 0, texts: 0, queued: 0, seconds_left: null,
        bytes_per_second: 0,
      };
      this.#state = "";
      this.#build();
      this.dispatchEvent(new Event("model"));
    } else if (event === "sweep") {
      this.last = value;
      this.#state = "";
      this.#show();
      this.dispatchEvent(new Event("sweep"));
    }
  }

  /** One column a layer, attention above feed-forward; what is behind the layers has a column of its own. */
  #build() {
    const { layers, blocks } = this.model;
    byId("cells").replaceChildren();
    this.#cells = [];
    let column;
    for (let block = 0; block < blocks; block++) {
      if (block % 2 === 0 || block >= 2 * layers) {
        column = document.createElement("span");
        column.className = "column";
        byId("cells").append(column);
      }
      const cell = document.createElement("i");
      cell.className = "cell";
      column.append(cell);
      this.#cells.push(cell);
    }
    byId("cells").style.setProperty("--columns", byId("cells").childElementCount);
    this.#showAll();
  }

  #showAll() {
    this.#cells.forEach((cell, block) => {
      // A pruned model has layers of one block.
      cell.title = this.#cells.length <= 2 * this.model.layers ? say("cellBlock", { block: block + 1 })
        : block >= 2 * this.model.layers ? say("cellHead")
        : say("cellOf", { layer: (block >> 1) + 1, part: say(block % 2 ? "feedForward" : "attention") });
    });
    this.#show();
  }

  #show() {
    this.#showCells();
    this.#showFacts();
    if (this.model) {
      byId("model").textContent = say("modelLine", { ...this.model, parameters: parameters(this.model.parameters) });
    }
  }

  #showCells() {
    const { last } = this;
    const pinned = last?.pinned ?? this.model?.pinned ?? "";
    const running = last?.running ?? false;
    const at = running ? last.computing ?? -1 : -1;
    this.#cells.forEach((cell, block) => {
      const classes = ["cell"];
      if (pinned[block] === "1") classes.push("pinned");
      if (block < at) classes.push("done");
      if (running && block === last.reading) classes.push("reading");
      if (block === at) classes.push("computing");
      const name = classes.join(" ");
      if (cell.className !== name) cell.className = name;
    });
    if (this.model) {
      byId("cells").ariaLabel = say("cellsLabel", {
        layers: this.model.layers, blocks: this.model.blocks, pinned: [...pinned].filter(mark => mark === "1").length,
        running, sweep: last?.sweep, at: at + 1,
      });
    }
    byId("cells").classList.toggle("away", last === undefined);
  }

  #showFacts() {
    const { last } = this;
    const put = (id, text) => { if (byId(id).textContent !== text) byId(id).textContent = text; };
    if (!last) {
      put("fact-state", say(`state${this.#state}`, { seconds: this.#wait }));
      for (const id of ["next", "rate", "rows", "tokens"]) put(`fact-${id}`, "–");
      return;
    }
    const percent = Math.round(100 * ((last.computing ?? -1) + 1) / (this.model?.blocks ?? 1));
    put("fact-state", last.running ? say("stateRunning", { sweep: last.sweep, percent }) : say("stateIdle"));
    // Faster than one can read, the pace says more than the moment.
    const isSlow = (last.sweep_seconds ?? 1) >= 1;
    put("fact-next", last.seconds_left !== null && last.running && isSlow
      ? say("nextIn", { seconds: seconds(last.seconds_left) })
      : last.sweep_seconds ? say("nextEvery", { seconds: seconds(last.sweep_seconds) }) : "–");
    const [rate, wait] = [`${bytes(last.bytes_per_second, 1000)}/s`, Math.round(100 * (last.wait_share ?? 0))];
    put("fact-rate", last.running && last.bytes_per_second > 0 ? say("rateOf", { rate, wait })
      : last.running ? say("rateNone") : "–");
    const yours = Math.min(this.yours(), last.texts);
    put("fact-rows", last.texts > 0 || last.queued > 0
      ? say("rowsOf", { yours, others: last.texts - yours, rows: last.rows, queued: last.queued }) : say("rowsNone"));
    put("fact-tokens", last.tokens_per_sweep ? rounded(last.tokens_per_sweep, 2) : "–");
    const { budget, planned, peak } = last.memory;
    put("fact-memory", say("memoryOf", { peak: bytes(peak), budget: bytes(budget) }));
    byId("bar-planned").style.width = `${Math.min(100, 100 * planned / budget)}%`;
    byId("bar-peak").style.width = `${Math.min(100, 100 * peak / budget)}%`;
  }
}
