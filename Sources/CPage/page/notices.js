// What went wrong, in a sentence, and the field for a key.
import { hasKey, setKey } from "/server.js";
import { onLanguage, say } from "/words.js";

const byId = id => document.getElementById(id);

export class Notices {
  #shown;
  #isKeyWanted = false;

  /** `again` does once more what was refused; `keyGiven` is called when there is a key to try. */
  constructor(again, keyGiven) {
    byId("trouble-again").addEventListener("click", () => {
      this.clear();
      again();
    });
    byId("trouble-close").addEventListener("click", () => this.clear());
    byId("key-form").addEventListener("submit", event => {
      event.preventDefault();
      setKey(byId("key").value.trim());
      byId("key").value = "";
      this.#isKeyWanted = false;
      byId("key-form").hidden = true;
      keyGiven();
    });
    onLanguage(() => {
      this.#put();
      if (this.#isKeyWanted) this.#hint();
    });
  }

  /** Says why nothing was asked. */
  refuse(word) { this.#put({ word, isFinal: true }); }

  /** Says what a `Trouble` means; `tokens` are what is there all the same. */
  explain({ status, message, after }, tokens) {
    if (status === 401) return this.wantKey();
    if (status === 0) {
      const isCut = message === "cutFill" || message === "cutShort" && tokens > 0;
      return this.#put({ word: isCut ? message : "unreachable", values: { tokens } });
    }
    const word = status === -1 ? "errorDuring"
      : [400, 413, 429, 503].includes(status) ? `error${status}` : "errorOther";
    return this.#put({ word, values: { status, message, after } });
  }

  clear() {
    this.#shown = undefined;
    this.#put();
  }

  /** The server is there again. */
  reached() {
    if (this.#shown?.word === "unreachable") this.clear();
  }

  wantKey() {
    this.#hint();
    if (this.#isKeyWanted) return;
    this.#isKeyWanted = true;
    byId("key-form").hidden = false;
    byId("key").focus();
  }

  #hint() {
    byId("key-hint").textContent = (hasKey() ? `${say("keyWrong")} ` : "") + say("keyHint");
  }

  #put(shown = this.#shown) {
    this.#shown = shown;
    byId("trouble").hidden = shown === undefined;
    byId("trouble-text").textContent = shown ? say(shown.word, shown.values) : "";
    byId("trouble-again").hidden = shown?.isFinal ?? false;
  }
}
