// What went wrong, in a sentence, and the field for a key.
import { hasKey, setKey } from "./server.js";
import { settingOf } from "./settings.js";
import { isWord, onLanguage, say } from "./words.js";

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
  refuse(word) { this.#put({ words: [word], isFinal: true }); }

  /**
   * Says what a `Trouble` means, by the server's word for it and not by its sentence, which is English and stands
   * below. `tokens` are what is there all the same.
   */
  explain({ status, message, after, code, param }, tokens) {
    if (status === 401) return this.wantKey();
    if (status === 0) {
      const isCut = message === "cutFill" || message === "cutShort" && tokens > 0;
      return this.#put({ words: [isCut ? message : "unreachable"], values: { tokens } });
    }
    const setting = settingOf(param);
    const reasons = [`error_${code}`, setting ? "errorSetting" : "", `error${status}`].filter(isWord);
    const words = status === -1 ? ["errorDuring", ...reasons.slice(0, 1)] : [reasons[0] ?? "errorOther"];
    return this.#put({ words, values: { status, after, setting }, detail: message });
  }

  clear() {
    this.#shown = undefined;
    this.#put();
  }

  /** The server is there again. */
  reached() {
    if (this.#shown?.words[0] === "unreachable") this.clear();
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
    byId("trouble-text").textContent = shown?.words.map(word => say(word, shown.values)).join(" ") ?? "";
    byId("trouble-detail").textContent = shown?.detail ?? "";
    byId("trouble-detail").hidden = !shown?.detail;
    byId("trouble-again").hidden = shown?.isFinal ?? false;
  }
}
