// What a screen reader says.

/** Says what comes bit by bit in whole portions, never faster than it is read. */
export class Voice {
  #element;
  #pending = "";
  #timer;

  /** `element`: politely live. */
  constructor(element) {
    this.#element = element;
  }

  /** Adds to what is said next; says it at once where `isLast`. */
  say(text, isLast = false) {
    this.#pending += text;
    if (isLast) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), 4000);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending) this.#element.textContent = this.#pending;
    this.#pending = "";
  }
}
