"use strict";
// Elements and how values are written. All that comes from the server becomes text, never markup.
const $ = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children);
  return e;
}

// write sets a text where it is another one, so that selections and readers are left alone.
function write(e, text) {
  text = String(text);
  if (e.textContent !== text) e.textContent = text;
}

const numbers = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const count = (n) => numbers.format(n ?? 0);
const percent = (share) => (share === null || share === undefined ? "–" : (100 * share).toFixed(1) + "%");
const times = (n, what) => count(n) + " " + what + (n === 1 ? "" : "s");

// per writes a rate per second.
function per(n) {
  if (n === null || n === undefined) return "–";
  return (n > 0 && n < 10 ? n.toFixed(1) : count(Math.round(n))) + "/s";
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return (i === 0 ? n : n.toFixed(1)) + " " + units[i];
}

// took writes a duration, given in seconds, with three digits or so.
function took(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const digits = (n) => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2));
  if (seconds === 0) return "0 s";
  if (seconds < 1e-3) return digits(seconds * 1e6) + " µs";
  if (seconds < 1) return digits(seconds * 1e3) + " ms";
  if (seconds < 100) return digits(seconds) + " s";
  return lasting(seconds);
}

// lasting writes a duration of seconds and more.
function lasting(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${m} min`;
  if (m > 0) return `${m} min ${s % 60} s`;
  return `${s} s`;
}

// lifetime writes a TTL, which is a round number most often.
function lifetime(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * length && seconds % length === 0) return seconds / length + " " + unit;
  }
  return seconds < 1 ? took(seconds) : Number(seconds.toFixed(3)) + " s";
}

// counters writes what is not zero, the greatest first.
function counters(all) {
  return Object.entries(all ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).map(([name, n]) => `${count(n)} ${name}`).join(", ");
}

const sum = (all) => Object.values(all ?? {}).reduce((a, b) => a + b, 0);
