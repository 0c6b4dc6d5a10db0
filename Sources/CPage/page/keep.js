// What survives a reload: in the tab's own storage, and as the last one for a tab that is opened later. Two tabs do not
// overwrite each other.

const NAME = "leafcutter.page";

export function load() {
  for (const storage of [sessionStorage, localStorage]) {
    try {
      const kept = JSON.parse(storage.getItem(NAME));
      if (kept) return sound(kept);
    } catch { /* Not ours, or storage is off. */ }
  }
  return {};
}

/** Without what another version of the page, or anybody, may have left there. */
function sound({ text, settings, theme, language, run }) {
  const isRun = typeof run?.prompt === "string"
    && (Array.isArray(run.samples) ? run.samples.every(sample => Array.isArray(sample.tokens))
      : Array.isArray(run.blanks));
  return { text: typeof text === "string" ? text : "", settings, theme, language, run: isRun ? run : undefined };
}

export function store(state) {
  const [whole, part] = [JSON.stringify(state), JSON.stringify({ ...state, run: undefined })];
  for (const storage of [sessionStorage, localStorage]) {
    if (!put(storage, whole)) put(storage, part);
  }
}

/** Whether there was room; where storage is off, the page works without it. */
function put(storage, text) {
  try {
    storage.setItem(NAME, text);
    return true;
  } catch {
    return false;
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
