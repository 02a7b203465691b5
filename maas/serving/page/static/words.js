// What the page says, in the languages that it speaks.

const ENGLISH = {
  model: "Model",
  version: "Version",
  input: "Input",
  predict: "Predict",
  predicting: "Predicting…",
  generate: "Generate",
  generating: "Generating…",
  stop: "Stop",
  example: "Another example",
  own: "an example",
  prediction: "Prediction",
  written: "Text",
  hint: "Give an input, and see here what the model makes of it.",
  hintText: "Give a prompt, and see here how the model goes on.",
  message: "Message",
  prompt: "Beginning of a text",
  promptHint: "Type or paste a prompt",
  noPrompt: "There is no prompt. Type one, or take an example.",
  temperature: "Temperature",
  tokens: "Most new tokens",
  noRange: "{name} is a number from {min} to {max}.",
  explain: "Explain",
  explaining: "Explaining…",
  label: "Label to explain",
  docs: "Documentation",
  metrics: "Metrics",
  text: "Text",
  textHint: "Type or paste a text",
  image: "Picture",
  audio: "Sound",
  drop: "Drop a file here, or choose one",
  dropImage: "PNG, JPEG or WebP",
  dropAudio: "WAV, FLAC or Ogg",
  chosen: "Chosen: {name}",
  array: "Numbers",
  draw: "Draw here, or write the numbers below",
  clear: "Clear",
  json: "JSON",
  missing: "missing",
  noFile: "No file is chosen. Choose one, or take an example.",
  noJson: "This is not JSON: {reason}",
  noNumber: "{name} is no number.",
  unreachable: "The server cannot be reached.",
  answered: "{model}, version {version}, in {ms} ms",
  generated: "{model}, version {version}, {tokens} tokens in {ms} ms",
  all: "Show all {count}",
  vector: "{count} numbers, length {length}",
  copy: "Copy",
  copied: "Copied",
  value: "Value",
  whole: "Whole input",
  seen: "What the model sees",
  speaks: "{quantity} of {label}: {value}. With every part left out: {baseline}.",
  speaksValue: "{quantity}: {value}. With every part left out: {baseline}.",
  "log-odds": "Log-odds",
  cosine: "Cosine to the whole input",
  "log-probability": "Log-probability of the text",
  similarity: "Similarity of the text",
  against: "against",
  for: "for",
  lowers: "lowers it",
  raises: "raises it",
  strongest: "Strongest parts",
  others: "{count} others together",
  spoken: "{label}, {percent}",
  nothing: "(no words)",
  noLabel: "(no label)",
};

const CHINESE = {
  model: "模型",
  version: "版本",
  input: "输入",
  predict: "预测",
  predicting: "预测中…",
  generate: "生成",
  generating: "生成中…",
  stop: "停止",
  example: "换一个例子",
  own: "例子",
  prediction: "预测结果",
  written: "文本",
  hint: "给出输入，这里会显示模型的判断。",
  hintText: "给出提示，这里会显示模型如何续写。",
  message: "消息",
  prompt: "文本的开头",
  promptHint: "输入或粘贴提示",
  noPrompt: "还没有提示。请输入，或使用例子。",
  temperature: "温度",
  tokens: "最多新词元数",
  noRange: "{name}应为 {min} 到 {max} 之间的数。",
  explain: "解释",
  explaining: "解释中…",
  label: "要解释的标签",
  docs: "文档",
  metrics: "指标",
  text: "文本",
  textHint: "输入或粘贴一段文字",
  image: "图片",
  audio: "声音",
  drop: "把文件拖到这里，或点击选择",
  dropImage: "PNG、JPEG 或 WebP",
  dropAudio: "WAV、FLAC 或 Ogg",
  chosen: "已选择：{name}",
  array: "数值",
  draw: "可以在这里画，也可以在下面填写数值",
  clear: "清空",
  json: "JSON",
  missing: "缺失",
  noFile: "还没有选择文件。请选择一个，或使用例子。",
  noJson: "不是合法的 JSON：{reason}",
  noNumber: "{name} 不是数字。",
  unreachable: "无法连接服务器。",
  answered: "{model} 版本 {version}，用时 {ms} 毫秒",
  generated: "{model} 版本 {version}，{tokens} 个词元，用时 {ms} 毫秒",
  all: "显示全部 {count} 个",
  vector: "{count} 个数，长度 {length}",
  copy: "复制",
  copied: "已复制",
  value: "值",
  whole: "整个输入",
  seen: "模型看到的",
  speaks: "{label} 的{quantity}：{value}；去掉所有部分后：{baseline}。",
  speaksValue: "{quantity}：{value}；去掉所有部分后：{baseline}。",
  "log-odds": "对数几率",
  cosine: "与整个输入的余弦",
  "log-probability": "文本的对数概率",
  similarity: "文本的相似度",
  against: "反对",
  for: "支持",
  lowers: "使其降低",
  raises: "使其升高",
  strongest: "影响最大的部分",
  others: "其余 {count} 个合计",
  spoken: "{label}，{percent}",
  nothing: "（没有词语）",
  noLabel: "（没有标签）",
};

const TASKS = {
  text: "文本", image: "图像", audio: "音频", tabular: "表格", combined: "组合输入",
  automatic: "自动", speech: "语音", recognition: "识别",
  classification: "分类", regression: "回归", embedding: "向量", generation: "生成",
};

export const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
const WORDS = language === "zh" ? CHINESE : ENGLISH;

/** Returns a sentence with its values in their places. */
export function word(key, values = {}) {
  return WORDS[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Writes the words into all elements that name one. */
export function translate(root) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
}

/** Returns what a model does, such as text classification. */
export function task(name) {
  const parts = name.split("-");
  return language === "zh" ? parts.map((part) => TASKS[part] ?? part).join("") : parts.join(" ");
}

/** Returns a probability as percent, with as many digits as tell it from 0 and 1. */
export function percent(fraction) {
  const shown = 100 * fraction;
  const digits = shown > 99.9 || shown < 0.1 ? 2 : 1;
  return `${shown.toFixed(digits)} %`;
}

/** Returns a number with four digits that matter. */
export function number(value) {
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3)) return minus(value.toExponential(2));
  return minus(String(Number(value.toPrecision(4))));
}

/** Returns an attribution with its sign. */
export function signed(value) {
  const shown = Math.abs(value) < 1e-3 && value !== 0 ? value.toExponential(1) : value.toFixed(Math.abs(value) < 0.1 ? 3 : 2);
  return minus(`${value > 0 ? "+" : ""}${shown}`);
}

const minus = (text) => text.replace(/^-/, "−");
