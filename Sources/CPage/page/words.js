// What the page says, in English and Chinese. A sentence with values is a function of them.

const many = (n, one, more) => `${n} ${n === 1 ? one : more}`;
/** A name that may turn the direction of writing, but its own alone. */
const apart = name => `\u2068${name}\u2069`;

const english = {
  skip: "Skip to the text",
  otherLanguage: "中文", otherLanguageLabel: "切换到中文",
  themeAuto: "◐ Auto", themeLight: "☀ Light", themeDark: "☾ Dark",
  themeLabel: v => `Colours: ${v.theme}. Press to change.`,
  modelLine: v => `${apart(v.name)} · ${v.parameters} parameters · ${many(v.layers, "layer", "layers")}`,

  sweepTitle: "The sweep: what the machine is doing",
  legendPinned: "in memory", legendDisk: "on disk", legendReading: "being read", legendComputing: "being computed",
  legendDone: "done in this sweep",
  factState: "Sweep", factNext: "Next token", factRate: "Disk", factRows: "Riding along", factTokens: "Tokens a sweep",
  factMemory: "Memory, used / promised",
  stateConnecting: "connecting …", stateLoading: "the model is loading", stateIdle: "at rest",
  stateRunning: v => `no. ${v.sweep}, ${v.percent} %`,
  stateGone: v => `server not reached; next try in ${v.seconds} s`,
  stateKey: "waits for the key",
  nextIn: v => `in ${v.seconds} s`,
  nextEvery: v => `${v.seconds} s a sweep`,
  rateOf: v => `${v.rate}, ${v.wait} % waiting`,
  rateNone: "nothing to read",
  rowsOf: v => `${v.yours} yours, ${v.others} others’ · ${many(v.rows, "row", "rows")}`
    + (v.queued ? ` · ${v.queued} in the queue` : ""),
  rowsNone: "nobody",
  memoryOf: v => `${v.peak} / ${v.budget}`,
  cellsLabel: v => `${many(v.layers, "layer", "layers")} in ${v.blocks} blocks, ${v.pinned} in memory.`
    + (v.running ? ` Sweep ${v.sweep}: block ${v.at} is computed.` : " At rest."),
  cellBlock: v => `block ${v.block}`, cellHead: "head", cellOf: v => `layer ${v.layer}, ${v.part}`, attention: "attention", feedForward: "feed-forward",

  sheetTitle: "Your text",
  textLabel: "Your text",
  textHint: "Write the beginning of something. The model goes on from its last word.",
  kept: "Text and settings are kept in this browser alone.", keys: "Ctrl+Enter continues, Escape stops.",
  beginWith: "Or begin with",
  countOf: v => `${many(v.tokens, "token", "tokens")}${v.context ? ` of ${v.context}` : ""}.`,
  countTooMany: v => `${v.tokens} tokens: with ${v.more} to write this is more than the ${v.context} that fit.`,
  toolbar: "What to do with the text",
  go: "Continue", stop: "Stop", fill: "Fill the blanks",
  again: "Another try", againHint: "Write the same passage once more",
  undo: "Undo", undoHint: "Back to what was there before the last choice",
  keep: "Write on", keepHint: "Make what was written part of your text, and write behind it",
  blank: "Make a blank", blankHint: "Select words: the model finds others that fit between what is left and right of them",
  blankSize: "Length of the blank", blankAuto: "any length", blankTokens: v => many(v.n, "token", "tokens"),
  copy: "Copy", saveText: "Save text", saveJson: "Save JSON", link: "Copy link",
  linkHint: "A link to this page with these settings; your text is not in it",
  copied: "Copied.", linkCopied: "A link with your settings is copied; your text is not in it.",
  notCopied: v => `The browser does not let the page copy; here it is: ${v.text}`,
  scaleSure: "sure", scaleUnsure: "a surprise",
  scaleTip: "Point at a word, or move to it with Tab and the arrow keys, to see what else could stand there.",
  truth: "CPM-Ant continues texts. It does not answer questions, it remembers nothing, and what it writes may be wrong.",

  waiting: "Sent. The text waits for the next sweep.",
  queued: v => `Your text waits for its turn; ${many(v.queued, "text is", "texts are")} in the queue.`,
  prompting: "The model reads your text; the first token comes at the end of this sweep.",
  waitNext: v => `The next token comes in ${v.seconds} s.`,
  writing: v => `${many(v.tokens, "token", "tokens")} so far.`,
  filling: "The blanks are being filled; all lengths are tried on the same sweeps.",
  searching: "Beams search all the way to the end; their texts come together.",
  ended: v => ({
    stop: "The text came to its end", length: "The wanted number of tokens is there",
    stopped: "Stopped", broken: "Broken off", chosen: "You ended the text here",
  }[v.finish]) + ` (${many(v.tokens, "token", "tokens")}${v.seed === undefined ? "" : `, seed ${v.seed}`}).`,
  filled: v => `${many(v.blanks, "blank is", "blanks are")} filled.`,
  started: "The model is writing.",
  sample: v => `Version ${v.n}`, beam: v => `Beam ${v.n}`, score: v => `score ${v.score}`,
  perToken: v => `${v.percent} % a token`,
  goOnWith: "Write on from this",
  useSeed: "Use this seed",
  outputLabel: v => `What the model wrote, ${many(v.tokens, "token", "tokens")}. Arrow keys move, Enter shows what else could stand there.`,
  outputFixed: "What the model wrote.",
  tokenLabel: v => `${v.text}, ${v.percent}`, tokenChosen: ", your choice",
  newline: "line break", space: "space", endOfText: "end of the text",
  choicesLabel: v => `In place of “${v.text}”`,
  choiceLabel: v => `${v.text}, ${v.percent}`, choiceCurrent: ", what stands there",
  choicesHint: "Choose one to go on from there.",
  stale: "Written for your text as it was before you changed it.", restore: "Bring that text back",
  blankFilled: v => `${v.text}, filled, ${v.percent} a token`,

  keyLabel: "This server wants a key.",
  keyHint: "It is kept until you close this tab, and sent to this server alone.",
  keySave: "Use the key", keyWrong: "The server does not accept this key.",
  tryAgain: "Try again", close: "Close",
  noText: "Write something first: the model needs a beginning.",
  noBlank: "Select the words in whose place others are to be found.",
  unreachable: "The server cannot be reached. Is it running? The page looks for it and keeps your text.",
  cutShort: v => `The connection ended before the text did. ${many(v.tokens, "token is", "tokens are")} kept; Continue goes on from there.`,
  cutFill: "The connection ended before the blanks were filled.",
  reloaded: v => `The page was loaded anew while the model wrote; ${many(v.tokens, "token is", "tokens are")} kept. Continue goes on from there.`,
  unknown: v => `The model’s vocabulary lacks ${many(v.count, "character", "characters")} of your text; the model did not see ${v.count === 1 ? "it" : "them"}.`,
  error400: "The server cannot do that.",
  errorSetting: v => `The server does not take the setting “${english[v.setting]}” as it is.`,
  error_context_length_exceeded: "The text and what is to be written are longer than the server has room for. Shorten the text, or write fewer tokens.",
  error_out_of_memory: "The server has too little memory for this at the moment.",
  error_overloaded: "The server has no room for more requests at the moment. Try again soon.",
  error_loading: "The server is loading its model. Try again in a moment.",
  error_stopping: "The server is stopping.",
  error_unknown_host: "The server is not to be reached by the name in the address line; its owner can allow it (--allow-host).",
  error_io: "The server cannot read its model.",
  error_bad_input: "The server’s model file is damaged.",
  error413: "This text is longer than the server takes in one request.",
  error429: v => "So many texts wait that the server takes no more now." + (v.after ? ` It suggests trying again in ${v.after} s.` : ""),
  error503: "The server is loading its model, or stopping. Try again in a moment.",
  errorOther: v => `The server failed (${v.status}).`,
  errorDuring: "The server broke off.",
  serverBack: "The server is there again.",

  settings: "Settings", reset: "As at the beginning",
  decoding: "How the next token is found",
  decodingHint: "Drawn: by chance, likely ones more often. Most likely: always the same text. Beams: looks ahead on several ways at once and keeps the best.",
  decoding_sample: "Drawn", decoding_greedy: "Most likely", decoding_beams: "Beams",
  max_tokens: "Tokens to write", max_tokensHint: "The text stops there at the latest. Most tokens are a word or a character.",
  temperature: "Temperature", temperatureHint: "Below 1 plays safe, above 1 takes risks.",
  top_p: "Top-p", top_pHint: "Draws only among the best tokens that together have this probability.",
  top_k: "Top-k", top_kHint: "Draws only among this many best tokens; 0 is no limit.",
  min_p: "Min-p", min_pHint: "Drops tokens below this share of the best one’s probability.",
  repetition_penalty: "Repetition penalty", repetition_penaltyHint: "Above 1, what was written comes again less easily.",
  n: "Versions side by side", nHint: "They share each sweep: four take little longer than one.",
  beams: "Beams", beamsHint: "Ways that are followed at once; each is shown with its score.",
  seed: "Seed", seedHint: "The same seed makes the same text again. Empty: by chance, and shown behind the text.",
  seedAny: "by chance",
  seedWrong: "A seed is a whole number of at most 15 digits. Until this is one, the seed is by chance.",
  stop_strings: "Stop before", stop_stringsHint: "The text ends before one of these words, one a line.",
};

const chinese = {
  skip: "跳到正文",
  otherLanguage: "English", otherLanguageLabel: "Switch to English",
  themeAuto: "◐ 自动", themeLight: "☀ 浅色", themeDark: "☾ 深色",
  themeLabel: v => `配色：${v.theme}。按此切换。`,
  modelLine: v => `${apart(v.name)} · ${v.parameters} 参数 · ${v.layers} 层`,

  sweepTitle: "扫描：机器正在做什么",
  legendPinned: "常驻内存", legendDisk: "在磁盘上", legendReading: "正在读取", legendComputing: "正在计算",
  legendDone: "本次已算完",
  factState: "扫描", factNext: "下一个词元", factRate: "磁盘", factRows: "同行", factTokens: "每次扫描词元数", factMemory: "内存，已用 / 承诺",
  stateConnecting: "正在连接……", stateLoading: "模型正在载入", stateIdle: "空闲",
  stateRunning: v => `第 ${v.sweep} 次，${v.percent} %`,
  stateGone: v => `连不上服务器，${v.seconds} 秒后再试`,
  stateKey: "等待密钥",
  nextIn: v => `还有 ${v.seconds} 秒`,
  nextEvery: v => `每次扫描 ${v.seconds} 秒`,
  rateOf: v => `${v.rate}，${v.wait} % 在等待`,
  rateNone: "无需读取",
  rowsOf: v => `您 ${v.yours} 篇，他人 ${v.others} 篇 · ${v.rows} 行` + (v.queued ? ` · 排队 ${v.queued}` : ""),
  rowsNone: "暂无",
  memoryOf: v => `${v.peak} / ${v.budget}`,
  cellsLabel: v => `${v.layers} 层共 ${v.blocks} 块，${v.pinned} 块常驻内存。`
    + (v.running ? `第 ${v.sweep} 次扫描：正在计算第 ${v.at} 块。` : "空闲。"),
  cellBlock: v => `第 ${v.block} 块`, cellHead: "输出层", cellOf: v => `第 ${v.layer} 层，${v.part}`, attention: "注意力", feedForward: "前馈",

  sheetTitle: "您的文字",
  textLabel: "您的文字",
  textHint: "写一个开头，模型从最后一个字接着写。",
  kept: "文字和设置只保存在这个浏览器里。", keys: "Ctrl+Enter 续写，Esc 停止。",
  beginWith: "也可以从这里开始",
  countOf: v => `${v.tokens}${v.context ? ` / ${v.context}` : ""} 个词元。`,
  countTooMany: v => `已有 ${v.tokens} 个词元，再写 ${v.more} 个就超过上限 ${v.context} 个了。`,
  toolbar: "对文字的操作",
  go: "续写", stop: "停止", fill: "填空",
  again: "重写一次", againHint: "同一段再写一遍",
  undo: "撤销", undoHint: "回到上次选择之前",
  keep: "接着写", keepHint: "把模型写的并入您的文字，在后面接着写",
  blank: "设为空白", blankHint: "选中词语，让模型根据前后文另找合适的词",
  blankSize: "空白的长度", blankAuto: "长度不限", blankTokens: v => `${v.n} 个词元`,
  copy: "复制", saveText: "存为文本", saveJson: "存为 JSON", link: "复制链接",
  linkHint: "带有当前设置的链接，不含您的文字",
  copied: "已复制。", linkCopied: "已复制带有设置的链接，其中不含您的文字。",
  notCopied: v => `浏览器不允许复制，内容如下：${v.text}`,
  scaleSure: "有把握", scaleUnsure: "出人意料",
  scaleTip: "把指针移到词上，或用 Tab 键和方向键移过去，可以看到此处还可能是什么。",
  truth: "CPM-Ant 只会续写文字：它不回答问题，没有记忆，写的内容也可能不实。",

  waiting: "已发送，等待下一次扫描。",
  queued: v => `正在排队，队列中共有 ${v.queued} 篇。`,
  prompting: "模型正在读您的文字，本次扫描结束时出现第一个词元。",
  waitNext: v => `下一个词元还有 ${v.seconds} 秒。`,
  writing: v => `已写 ${v.tokens} 个词元。`,
  filling: "正在填空，各种长度在同一次扫描中尝试。",
  searching: "束搜索要找到结尾才有结果，各篇一起出现。",
  ended: v => ({
    stop: "文章写完了", length: "已写够词元数", stopped: "已停止", broken: "中断了", chosen: "您让文章在此结束",
  }[v.finish]) + `（${v.tokens} 个词元${v.seed === undefined ? "" : `，种子 ${v.seed}`}）。`,
  filled: v => `已填好 ${v.blanks} 处空白。`,
  started: "模型开始写了。",
  sample: v => `第 ${v.n} 版`, beam: v => `第 ${v.n} 束`, score: v => `得分 ${v.score}`,
  perToken: v => `每词元 ${v.percent} %`,
  goOnWith: "从这一版接着写",
  useSeed: "沿用此种子",
  outputLabel: v => `模型写的文字，共 ${v.tokens} 个词元。方向键移动，回车键查看此处还可能是什么。`,
  outputFixed: "模型写的文字。",
  tokenLabel: v => `${v.text}，${v.percent}`, tokenChosen: "，您选的",
  newline: "换行", space: "空格", endOfText: "文章结束",
  choicesLabel: v => `替换“${v.text}”`,
  choiceLabel: v => `${v.text}，${v.percent}`, choiceCurrent: "，现在的词",
  choicesHint: "选一个，从那里接着写。",
  stale: "这是按您修改之前的文字写的。", restore: "恢复当时的文字",
  blankFilled: v => `${v.text}，填入的词，每词元 ${v.percent}`,

  keyLabel: "这个服务器需要密钥。",
  keyHint: "密钥保存到您关闭此标签页为止，只发给这个服务器。",
  keySave: "使用密钥", keyWrong: "服务器不接受这个密钥。",
  tryAgain: "再试一次", close: "关闭",
  noText: "请先写点什么：模型需要一个开头。",
  noBlank: "请先选中要替换的词语。",
  unreachable: "连不上服务器。它在运行吗？页面会继续寻找，您的文字不会丢失。",
  cutShort: v => `文章没写完，连接就断了。已保留 ${v.tokens} 个词元，按“续写”从那里继续。`,
  cutFill: "空白没填完，连接就断了。",
  reloaded: v => `模型写作时页面重新载入了，已保留 ${v.tokens} 个词元，按“续写”从那里继续。`,
  unknown: v => `您的文字里有 ${v.count} 个字符不在模型的词表中，模型没有读到。`,
  error400: "服务器做不到。",
  errorSetting: v => `服务器不接受“${chinese[v.setting]}”现在的设置。`,
  error_context_length_exceeded: "您的文字加上要写的词元，超过了服务器能容纳的长度。请缩短文字，或减少要写的词元。",
  error_out_of_memory: "服务器此刻内存不足。",
  error_overloaded: "服务器此刻容不下更多请求，请稍后再试。",
  error_loading: "服务器正在载入模型，请稍后再试。",
  error_stopping: "服务器正在停止。",
  error_unknown_host: "服务器不接受地址栏中的这个名称，服务器的主人可以允许它（--allow-host）。",
  error_io: "服务器读不到它的模型。",
  error_bad_input: "服务器的模型文件已损坏。",
  error413: "文字太长，超过了服务器一次请求的上限。",
  error429: v => "等待的文章太多，服务器暂不接受新的。" + (v.after ? `它建议 ${v.after} 秒后再试。` : ""),
  error503: "服务器正在载入模型，或正在停止。请稍后再试。",
  errorOther: v => `服务器出错（${v.status}）。`,
  errorDuring: "服务器中断了。",
  serverBack: "服务器恢复了。",

  settings: "设置", reset: "恢复默认",
  decoding: "怎样找下一个词元",
  decodingHint: "抽取：随机，可能性大的更常出现。最可能：每次都是同一篇。束搜索：同时走几条路，向前看，留下最好的。",
  decoding_sample: "抽取", decoding_greedy: "最可能", decoding_beams: "束搜索",
  max_tokens: "写多少词元", max_tokensHint: "最多写到这里。一个词元多半是一个字或一个词。",
  temperature: "温度", temperatureHint: "低于 1 更稳妥，高于 1 更大胆。",
  top_p: "Top-p", top_pHint: "只在概率之和达到此值的最佳词元中抽取。",
  top_k: "Top-k", top_kHint: "只在这么多个最佳词元中抽取；0 为不限。",
  min_p: "Min-p", min_pHint: "去掉概率低于最佳词元此比例的词元。",
  repetition_penalty: "重复惩罚", repetition_penaltyHint: "大于 1 时，写过的词不易再出现。",
  n: "并排几版", nHint: "它们共用每次扫描，四版比一版慢不了多少。",
  beams: "束数", beamsHint: "同时走几条路，每条都附得分。",
  seed: "种子", seedHint: "同一种子写出同一篇。留空则随机，并显示在文后。",
  seedAny: "随机",
  seedWrong: "种子是最多 15 位的整数。改好之前，种子随机。",
  stop_strings: "遇到即停", stop_stringsHint: "写到这些词之前结束，每行一个。",
};

export const languages = { en: english, zh: chinese };
const listeners = [];
let language = "en";

/** The sentence of a name, with values put in. */
export function say(name, values) {
  const word = languages[language][name];
  return typeof word === "function" ? word(values ?? {}) : word;
}

/** Whether there is a sentence of this name. */
export const isWord = name => Object.hasOwn(english, name);

/** Calls back whenever the language changes. */
export function onLanguage(listener) {
  listeners.push(listener);
}

export const currentLanguage = () => language;

/** Puts the words of a language wherever the document names them. */
export function speak(wanted) {
  language = wanted === "zh" ? "zh" : "en";
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  translate(document);
  for (const listener of listeners) listener();
}

/** Puts words into the elements below `root` that name them. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of root.querySelectorAll("[data-label]")) element.ariaLabel = say(element.dataset.label);
  for (const element of root.querySelectorAll("[data-hint]")) element.placeholder = say(element.dataset.hint);
  for (const element of root.querySelectorAll("[data-title]")) element.title = say(element.dataset.title);
}
