// How to write: what can be set, the form for it, and the link that holds it.
import { translate } from "./words.js";

/** `when` names the ways of decoding for which a setting means anything. */
const KINDS = [
  { name: "decoding", kind: "choice", values: ["sample", "greedy", "beams"], usual: "sample" },
  { name: "max_tokens", kind: "number", usual: 60, min: 1, max: 100000, step: 1 },
  { name: "n", kind: "number", usual: 1, min: 1, max: 8, step: 1, when: ["sample"] },
  { name: "temperature", kind: "range", usual: 0.9, min: 0.05, max: 2, step: 0.05, when: ["sample"] },
  { name: "top_p", kind: "range", usual: 0.9, min: 0.05, max: 1, step: 0.05, when: ["sample"] },
  { name: "top_k", kind: "number", usual: 0, min: 0, max: 30000, step: 1, when: ["sample"] },
  { name: "min_p", kind: "range", usual: 0, min: 0, max: 0.5, step: 0.01, when: ["sample"] },
  { name: "beams", kind: "number", usual: 3, min: 2, max: 8, step: 1, when: ["beams"] },
  { name: "repetition_penalty", kind: "range", usual: 1, min: 1, max: 2, step: 0.05 },
  { name: "seed", kind: "seed", usual: "", when: ["sample"] },
  { name: "stop_strings", kind: "lines", usual: "", when: ["sample", "greedy"] },
];

/** The setting that a field of a request comes from; undefined for any other field. */
export const settingOf = field => KINDS.find(({ name }) => name === field || name === `${field}_strings`)?.name;

const usual = () => Object.fromEntries(KINDS.map(kind => [kind.name, kind.usual]));

/** A value that may have come from a link: made sound, or undefined. */
function sound(kind, value) {
  switch (kind.kind) {
    case "choice": return kind.values.includes(value) ? value : undefined;
    case "number": case "range": {
      const number = Number(value);
      if (value === "" || !Number.isFinite(number)) return undefined;
      const inside = Math.min(Math.max(number, kind.min), kind.max);
      return kind.kind === "number" ? Math.round(inside) : inside;
    }
    // As many digits as JavaScript's numbers hold exactly.
    case "seed": return /^\d{0,15}$/.test(String(value)) ? String(value) : undefined;
    default: return typeof value === "string" ? value.slice(0, 2000) : undefined;
  }
}

export class Settings {
  #values = usual();
  /** What stands in the field of the seed and is none; undefined where it is right. */
  #wrongSeed;
  #form;
  #changed;

  /** Builds the form; `changed` is called after each change. */
  constructor(form, changed) {
    this.#form = form;
    this.#changed = changed;
    for (const kind of KINDS) form.append(field(kind));
    form.addEventListener("input", event => this.#read(event.target));
    // A number out of range is put right when its field is left.
    form.addEventListener("change", () => this.show());
    form.addEventListener("submit", event => event.preventDefault());
    this.show();
  }

  get values() { return { ...this.#values }; }

  /** Takes what is sound of `values`. */
  take(values) {
    for (const kind of KINDS) {
      const given = values?.[kind.name] ?? undefined;
      const value = given === undefined ? undefined : sound(kind, given);
      if (value !== undefined) this.#values[kind.name] = value;
      if (value !== undefined && kind.kind === "seed") this.#wrongSeed = undefined;
    }
    this.show();
    this.#changed();
  }

  reset() { this.take(usual()); }

  /** The settings that are not the usual ones, as the hash of a link. */
  get hash() {
    const parts = new URLSearchParams();
    for (const kind of KINDS) {
      if (this.#values[kind.name] !== kind.usual) parts.set(kind.name, this.#values[kind.name]);
    }
    // Also where nothing differs: the link then says so.
    return `#settings&${parts}`;
  }

  /** Takes the settings of a link's hash; whether it held any. */
  takeHash(hash) {
    if (!hash.startsWith("#settings")) return false;
    this.take({ ...usual(), ...Object.fromEntries(new URLSearchParams(hash.slice("#settings".length))) });
    return true;
  }

  /** The fields of a request to `/v1/completions`. */
  get request() {
    const set = this.#values;
    const fields = { max_tokens: set.max_tokens };
    if (set.repetition_penalty !== 1) fields.repetition_penalty = set.repetition_penalty;
    if (set.decoding === "beams") return { ...fields, beams: set.beams, n: set.beams };
    fields.logprobs = 8;
    const stop = set.stop_strings.split("\n").filter(line => line !== "").slice(0, 16);
    if (stop.length) fields.stop = stop;
    if (set.decoding === "greedy") return { ...fields, greedy: true };
    for (const name of ["temperature", "top_p", "top_k", "min_p", "n"]) fields[name] = set[name];
    if (set.seed !== "") fields.seed = Number(set.seed);
    return fields;
  }

  #read(input) {
    const kind = KINDS.find(kind => kind.name === input.name);
    let value = sound(kind, input.value);
    if (kind.kind === "seed") {
      this.#wrongSeed = value === undefined ? input.value : undefined;
      // Another seed than the one that is meant would be taken for it.
      value ??= kind.usual;
    }
    if (value === undefined) return;
    this.#values[kind.name] = value;
    this.#showState();
    this.#changed();
  }

  /** Puts the values into the form. */
  show() {
    for (const kind of KINDS) {
      if (kind.kind === "choice") {
        for (const input of this.#form.elements[kind.name]) input.checked = input.value === this.#values[kind.name];
      } else {
        const typed = kind.kind === "seed" ? this.#wrongSeed : undefined;
        this.#form.elements[kind.name].value = typed ?? this.#values[kind.name];
      }
    }
    this.#showState();
  }

  #showState() {
    for (const kind of KINDS) {
      const place = this.#form.querySelector(`[data-setting=${kind.name}]`);
      place.hidden = kind.when !== undefined && !kind.when.includes(this.#values.decoding);
      const output = place.querySelector("output");
      if (output) output.value = String(Number(this.#values[kind.name].toFixed(2)));
      if (kind.kind === "seed") {
        const isWrong = this.#wrongSeed !== undefined;
        place.querySelector(".wrong").hidden = !isWrong;
        this.#form.elements[kind.name].ariaInvalid = String(isWrong);
      }
    }
  }
}

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function field(kind) {
  const id = `set-${kind.name}`;
  const hint = make("p", { id: `${id}-hint`, class: "hint", "data-word": `${kind.name}Hint` });
  const described = { id, name: kind.name, "aria-describedby": hint.id };
  let place;
  if (kind.kind === "choice") {
    const choices = make("div", { class: "segments" });
    for (const value of kind.values) {
      choices.append(make("label", {},
        make("input", { type: "radio", name: kind.name, value }),
        make("span", { "data-word": `${kind.name}_${value}` })));
    }
    const legend = make("legend", { "data-word": kind.name });
    place = make("fieldset", { "aria-describedby": hint.id }, legend, choices, hint);
  } else {
    const label = make("label", { for: id, "data-word": kind.name });
    const { min, max, step } = kind;
    const control = {
      number: () => make("input", { ...described, type: "number", inputmode: "numeric", min, max, step }),
      range: () => make("input", { ...described, type: "range", min, max, step }),
      seed: () => make("input", {
        ...described, type: "text", inputmode: "numeric", pattern: "[0-9]*", autocomplete: "off",
        "data-hint": "seedAny", "aria-describedby": `${id}-wrong ${hint.id}`,
      }),
      lines: () => make("textarea", { ...described, rows: 2, spellcheck: "false" }),
    }[kind.kind]();
    const head = make("div", { class: "line" }, label);
    if (kind.kind === "range") head.append(make("output", { for: id }));
    if (kind.kind === "number" || kind.kind === "seed") head.append(control);
    place = make("div", {}, head);
    if (!head.contains(control)) place.append(control);
    if (kind.kind === "seed") {
      place.append(
        make("p", { id: `${id}-wrong`, class: "wrong", role: "alert", "data-word": "seedWrong", hidden: "" }));
    }
    place.append(hint);
  }
  place.dataset.setting = kind.name;
  place.classList.add("field");
  translate(place);
  return place;
}
