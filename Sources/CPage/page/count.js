// How many tokens the text has, and whether they fit.
import { ask } from "/server.js";
import { hasBlank, withoutBlanks } from "/sheet.js";
import { say } from "/words.js";

export class TokenCount {
  #element;
  #timer;
  #tokens;
  #isBlanks;

  constructor(element) {
    this.#element = element;
  }

  /** Asks the server in a moment; `show` is called when it has said. */
  askSoon(text, show) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      await this.#ask(text);
      show();
    }, 500);
  }

  async #ask(text) {
    const { prompt, tokens } = withoutBlanks(text);
    this.#tokens = undefined;
    this.#isBlanks = hasBlank(text);
    if (prompt === "") return;
    try {
      const answer = await ask("/tokenize", { body: { prompt, add_special_tokens: false } });
      this.#tokens = (await answer.json()).count + tokens;
    } catch { /* Not worth a word: the next change asks again. */ }
  }

  /** `context`: tokens that fit, where known; `more`: tokens to be written. */
  show(context, more) {
    const tokens = this.#tokens;
    const wanted = this.#isBlanks ? 0 : more;
    this.#element.textContent = tokens === undefined ? ""
      : context && tokens + wanted > context ? say("countTooMany", { tokens, more: wanted, context })
      : say("countOf", { tokens, context });
  }
}
