// The words of the page: one file for each language.

import { memory } from "./dom.js";

export const LANGUAGES = [["en", "English"], ["ja", "日本語"]];
let words = {};
let spare = {};

export function language() {
  const kept = memory.get("language", null);
  if (LANGUAGES.some(([code]) => code === kept)) return kept;
  const wanted = navigator.languages?.map((l) => l.slice(0, 2)) ?? [];
  return wanted.find((l) => LANGUAGES.some(([code]) => code === l)) ?? "en";
}

async function read(code) {
  const answer = await fetch(`page/messages/${code}.json`);
  return answer.ok ? answer.json() : {};
}

export async function speak(code = language()) {
  [words, spare] = await Promise.all([read(code), code === "en" ? {} : read("en")]);
  document.documentElement.lang = code;
}

/** The words of a key, with what stands in braces filled in. */
export function t(key, values = {}) {
  const text = words[key] ?? spare[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** An error in words. */
export function told(error) {
  if (error.title === "unreachable") return t("error.unreachable");
  if (error.status === 401) return t("error.token");
  return error.message || t("error.unknown");
}
