// Language and colours: the browser's, until a person says otherwise.
import { currentLanguage, onLanguage, say, speak } from "./words.js";

const byId = id => document.getElementById(id);
const THEMES = ["auto", "light", "dark"];

export class Switches {
  #theme;
  #language;

  /** `kept`: what was chosen before. */
  constructor({ theme, language }, changed) {
    this.#theme = THEMES.includes(theme) ? theme : "auto";
    this.#language = language;
    byId("theme").addEventListener("click", () => {
      this.#theme = THEMES[(THEMES.indexOf(this.#theme) + 1) % THEMES.length];
      this.#show();
      changed();
    });
    byId("language").addEventListener("click", () => {
      this.#language = currentLanguage() === "zh" ? "en" : "zh";
      speak(this.#language);
      changed();
    });
    onLanguage(() => this.#show());
  }

  get chosen() { return { theme: this.#theme, language: this.#language }; }

  /** Says everything, for the first time. */
  begin() {
    speak(this.#language ?? (navigator.language.startsWith("zh") ? "zh" : "en"));
  }

  #show() {
    document.documentElement.dataset.theme = this.#theme;
    const theme = say(`theme${this.#theme[0].toUpperCase()}${this.#theme.slice(1)}`);
    byId("theme").textContent = theme;
    byId("theme").ariaLabel = say("themeLabel", { theme });
    byId("language").textContent = say("otherLanguage");
    byId("language").ariaLabel = say("otherLanguageLabel");
    byId("language").lang = currentLanguage() === "zh" ? "en" : "zh";
  }
}
