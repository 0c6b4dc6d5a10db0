// What survives a reload: in the tab's own storage, and as the last one for a tab that is opened later. Two tabs do not
// overwrite each other.

const NAME = "leafcutter.page";

const STORAGES = ["sessionStorage", "localStorage"];

/** What is stored under a name; null where there is nothing, or storage is off: the browser then throws at a look. */
export function recall(storage, name) {
  try {
    return window[storage].getItem(name);
  } catch {
    return null;
  }
}

/** Whether there was room; where storage is off, the page works without it. */
export function remember(storage, name, text) {
  try {
    window[storage].setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

export function load() {
  for (const storage of STORAGES) {
    try {
      const kept = JSON.parse(recall(storage, NAME));
      if (kept) return sound(kept);
    } catch { /* Not ours. */ }
  }
  return {};
}

/** Without what another version of the page, or anybody, may have left there. */
function sound({ text, settings, theme, language, run }) {
  return { text: typeof text === "string" ? text : "", settings, theme, language, run: soundRun(run) };
}

/** A run as it was stored, with nothing but its own fields; undefined for what is none. */
function soundRun(run) {
  if (typeof run?.prompt !== "string") return undefined;
  const { prompt, kind, promptIds, seed, model, requests, samples, text, blanks } = run;
  const unknown = Number.isInteger(run.unknown) ? run.unknown : undefined;
  if (blanks !== undefined) {
    const isSound = typeof text === "string" && Array.isArray(blanks)
      && blanks.every(blank => isText(blank) && Array.isArray(blank.ids));
    return isSound ? { prompt, text, blanks, unknown } : undefined;
  }
  const isSound = ["samples", "beams"].includes(kind) && isList(samples, isSample) && samples.length > 0
    && isList(requests, request => typeof request === "object" && request !== null);
  if (!isSound) return undefined;
  const parts = samples.map(({ tokens, finish, score }) => ({ tokens, finish, score }));
  const ids = isList(promptIds) ? promptIds : undefined;
  return { prompt, kind, seed, model, unknown, requests, samples: parts, promptIds: ids };
}

const isList = (value, isEntry = Number.isInteger) => Array.isArray(value) && value.every(isEntry);
const isNumber = value => value === undefined || typeof value === "number";
const isText = value => typeof value?.text === "string" && isNumber(value.logprob);
const isSample = sample => isNumber(sample?.score)
  && isList(sample.tokens, token => isText(token) && isList(token.top, isText));

export function store(state) {
  const [whole, part] = [JSON.stringify(state), JSON.stringify({ ...state, run: undefined })];
  for (const storage of STORAGES) {
    if (!remember(storage, NAME, whole)) remember(storage, NAME, part);
  }
}

/** Puts a text on the clipboard; whether the browser let it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* Only where the address is secure: the old way then. */ }
  const area = document.createElement("textarea");
  const focused = document.activeElement;
  area.value = text;
  area.className = "hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}

export function download(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
