"use strict";
/* The state is a recipe: which faces, how they are mixed, what is requested, how strong each attribute is. A source gives
   the face of a recipe: the server that the page comes from, or what was prepared and lies in the page. */

const config = JSON.parse(document.getElementById("config").textContent);
const by = (id) => document.getElementById(id);
const FIRST_SLIDERS = 8;
const READABLE = (name) => name.replaceAll("_", " ");
const SIGNED = (value) => (Math.abs(value) < 0.005 ? "0" : `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`);

/* Sources */

const served = {
  combines: true,
  numbers: null,
  async ask(path, content) {
    const options = content === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
    };
    let reply;
    try {
      reply = await fetch(path, options);
    } catch {
      throw new Error("The server has ended. Start augface play again, and reload this page.");
    }
    if (!reply.ok) throw new Error(await reply.text());
    return reply.json();
  },
  face(recipe) { return this.ask("/api/face", recipe); },
  turned(recipe) { return this.ask("/api/turned", { ...recipe, strengths: {} }); },
  frames: config.frames.map((images) => ({ images })),
  async frame(number) { return (await this.ask(`/api/frames/${number}`)).image; },
};

const prepared = config.prepared && {
  combines: false,
  numbers: config.prepared.numbers,
  async face(recipe) {
    const face = config.prepared.faces[recipe.first];
    const answers = {};
    for (const [name, stops] of Object.entries(face.sliders)) {
      answers[name] = { low: stops[0].strength, high: stops.at(-1).strength, reached: 0, stops: stops.map((stop) => stop.strength) };
    }
    let image = face.image;
    for (const [name, strength] of Object.entries(recipe.strengths)) {
      const stop = nearest(face.sliders[name], strength);
      image = stop.image ?? face.image;
      answers[name].reached = stop.strength;
    }
    for (const [name, value] of Object.entries(recipe.requests)) {
      const turned = face.turned.find((one) => one.attribute === name && one.value === value);
      image = turned ? turned.image : image;
    }
    if (recipe.share > 0) image = this.mixed(recipe);
    return { image, answers, requested: { ...face.requested, ...recipe.requests } };
  },
  mixed({ first, second, share }) {
    const faces = config.prepared.faces;
    const way = config.prepared.ways[`${first},${second}`] ?? config.prepared.ways[`${second},${first}`]?.toReversed() ?? [];
    const all = [faces[first].image, ...way, faces[second].image];
    return all[Math.round(share * (all.length - 1))];
  },
  async turned(recipe) { return config.prepared.faces[recipe.first].turned; },
  frames: config.prepared.frames,
  async frame(number) { return config.prepared.frames[number].image; },
};
const source = prepared || served;

function nearest(stops, strength) {
  return stops.reduce((best, stop) => (Math.abs(stop.strength - strength) < Math.abs(best.strength - strength) ? stop : best));
}

/* State */

const start = () => ({ first: source.numbers ? source.numbers[0] : config.photo ? config.photo_number : 0,
  second: source.numbers ? source.numbers.at(-1) : 1, share: 0, requests: {}, strengths: {} });
let state = start();
let newest = 1;
const past = [];

function remember() { past.push(structuredClone(state)); if (past.length > 100) past.shift(); }

function another(than) {
  if (!source.numbers) return ++newest;
  const at = source.numbers.indexOf(than);
  return source.numbers[(at + 1) % source.numbers.length];
}

function written() {
  const words = new URLSearchParams({ first: state.first });
  if (state.share) { words.set("second", state.second); words.set("share", state.share); }
  for (const [name, value] of Object.entries(state.requests)) words.set(`request.${name}`, value ? 1 : 0);
  for (const [name, value] of Object.entries(state.strengths)) words.set(`strength.${name}`, value);
  return `#${words}`;
}

/* What the address says, as far as it is a recipe. */
function read(hash) {
  const words = new URLSearchParams(hash.slice(1));
  const found = start();
  const number = (name, least, most) => {
    const value = Number(words.get(name));
    return words.has(name) && Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : null;
  };
  const face = (name) => {
    const value = number(name, -1, 999999);
    if (value === null || !Number.isInteger(value) || (source.numbers && !source.numbers.includes(value))) return null;
    return value === config.photo_number && !config.photo ? null : value;
  };
  found.first = face("first") ?? found.first;
  found.second = face("second") ?? found.second;
  found.share = number("share", 0, 1) ?? 0;
  for (const name of config.sliders) {
    const value = number(`strength.${name}`, -10, 10);
    if (value) found.strengths[name] = value;
  }
  for (const key of words.keys()) {
    if (key.startsWith("request.")) found.requests[key.slice(8)] = words.get(key) === "1";
  }
  return found;
}

/* Showing */

let busy = false;
let again = false;
let later = 0;

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  document.querySelector(".stage").classList.add("waiting");
  do {
    again = false;
    try {
      const recipe = structuredClone(state);
      show(await source.face(recipe), recipe);
      fail("");
    } catch (error) {
      fail(error.message);
    }
  } while (again);
  busy = false;
  document.querySelector(".stage").classList.remove("waiting");
  history.replaceState(null, "", written());
  clearTimeout(later);
  later = setTimeout(settled, 200);
}

function fail(text) {
  by("alert").textContent = text;
  by("alert").hidden = !text;
}

function show(face, recipe) {
  by("face").src = face.image;
  by("download").href = face.image;
  by("download").download = `face-${fileName(recipe)}.${face.image.slice(11, face.image.indexOf(";"))}`;
  by("said").textContent = said(recipe, face);
  by("face").alt = `Generated face: ${said(recipe, face)}`;
  for (const [name, answer] of Object.entries(face.answers)) place(name, answer);
  by("back").disabled = !past.length;
}

function title(number) { return number === config.photo_number ? "Your photo" : `Face ${number}`; }

function fileName(recipe) {
  return [recipe.first === config.photo_number ? "photo" : recipe.first, ...Object.keys(recipe.strengths), ...Object.keys(recipe.requests)]
    .join("-").replace(/[^\w.-]+/g, "_");
}

function said(recipe, face) {
  const parts = [title(recipe.first)];
  if (recipe.share) parts[0] += `, ${Math.round(recipe.share * 100)} % of ${title(recipe.second).toLowerCase()}`;
  for (const [name, value] of Object.entries(recipe.requests)) parts.push(`${value ? "with" : "without"} ${READABLE(name)}`);
  for (const name of Object.keys(recipe.strengths)) {
    const reached = face.answers[name]?.reached ?? 0;
    if (Math.abs(reached) >= 0.005) parts.push(`${READABLE(name)} ${SIGNED(reached)}`);
  }
  return parts.join(" · ");
}

let firstShown = null;
let secondShown = null;
let turnedShown = null;

/* What follows the face once the sliders rest. */
async function settled() {
  try {
    const plain = { first: state.first, second: state.second, share: state.share, requests: state.requests, strengths: {} };
    if (firstShown !== state.first) {
      firstShown = state.first;
      by("first").src = (await source.face({ ...plain, share: 0, requests: {} })).image;
      by("first").alt = title(state.first);
    }
    if (secondShown !== state.second) {
      secondShown = state.second;
      by("second").src = (await source.face({ ...plain, first: state.second, share: 0, requests: {} })).image;
      by("second").alt = title(state.second);
    }
    const key = JSON.stringify(source.combines ? plain : plain.first);
    if (by("turned") && turnedShown !== key) {
      turnedShown = key;
      showTurned(await source.turned(plain));
    }
  } catch (error) {
    fail(error.message);
  }
}

function showTurned(pictures) {
  const items = pictures.map((one) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = document.createElement("img");
    const text = document.createElement("span");
    button.type = "button";
    button.className = "picture";
    image.src = one.image;
    image.alt = "";
    text.textContent = `${one.value ? "with" : "without"} ${READABLE(one.attribute)}`;
    button.append(image, text);
    button.addEventListener("click", () => {
      remember();
      if (!source.combines) alone();
      state.requests[one.attribute] = one.value;
      refresh();
    });
    item.append(button);
    return item;
  });
  by("turned").replaceChildren(...items);
}

/* Where everything was made beforehand, one thing at a time is changed. */
function alone() {
  state.strengths = {};
  state.requests = {};
  state.share = 0;
  for (const input of inputs.values()) paint(input, 0);
  paint(by("share"), 0);
  by("share-value").textContent = "0 %";
}

/* Sliders */

const inputs = new Map();
const stops = new Map(); // of sliders whose faces were made beforehand

function makeSlider(name, number) {
  const row = document.createElement("div");
  const label = document.createElement("label");
  const output = document.createElement("output");
  const input = document.createElement("input");
  row.className = "slider";
  input.type = "range";
  input.id = `slider-${number}`;
  input.step = "any";
  label.htmlFor = input.id;
  label.textContent = READABLE(name);
  output.htmlFor = input.id;
  output.textContent = "0";
  input.min = -1;
  input.max = 1;
  input.value = 0;
  input.addEventListener("focus", () => { input.before_ = structuredClone(state); });
  input.addEventListener("change", () => { if (input.before_) past.push(input.before_); input.before_ = structuredClone(state); by("back").disabled = !past.length; });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 0.05, ArrowUp: 0.05, ArrowLeft: -0.05, ArrowDown: -0.05, PageUp: 0.25, PageDown: -0.25 }[event.key];
    if (!step) return;
    event.preventDefault();
    const value = Number(input.value);
    const onward = stops.get(name)?.filter((stop) => (step > 0 ? stop > value + 0.001 : stop < value - 0.001));
    move(onward ? onward.at(step > 0 ? 0 : -1) ?? value : Math.round((value + step) * 20) / 20);
    input.dispatchEvent(new Event("change"));
  });
  input.addEventListener("input", () => move(Number(input.value)));
  function move(value) {
    const within = Math.min(Number(input.max), Math.max(Number(input.min), Math.abs(value) < 0.03 ? 0 : value));
    const strength = stops.has(name) ? nearest(stops.get(name).map((one) => ({ strength: one })), within).strength : within;
    if (!source.combines) alone();
    if (strength) state.strengths[name] = Number(strength.toFixed(3)); else delete state.strengths[name];
    paint(input, strength);
    refresh();
  }
  inputs.set(name, input);
  row.append(label, output, input);
  return row;
}

function place(name, answer) {
  const input = inputs.get(name);
  if (!input) return;
  input.min = Math.min(0, answer.low);
  input.max = Math.max(0, answer.high);
  if (answer.stops) stops.set(name, answer.stops);
  input.disabled = answer.high - answer.low < 0.02;
  paint(input, Math.min(Number(input.max), Math.max(Number(input.min), state.strengths[name] ?? 0)));
}

/* The part of the track between nothing and the value is coloured. */
function paint(input, value) {
  const low = Number(input.min);
  const width = Number(input.max) - low || 1;
  const at = (one) => `${((one - low) / width) * 100}%`;
  input.value = value;
  input.style.setProperty("--from", at(Math.min(0, value)));
  input.style.setProperty("--to", at(Math.max(0, value)));
  if (input.id === "share" || input.id === "frame-number") return;
  const output = input.parentElement.querySelector("output");
  output.textContent = SIGNED(value);
  input.setAttribute("aria-valuetext", SIGNED(value));
  input.parentElement.classList.toggle("on", Math.abs(value) >= 0.005);
}

if (by("sliders")) {
  const rows = config.sliders.map(makeSlider);
  by("sliders").append(...rows.slice(0, FIRST_SLIDERS));
  by("more-sliders").append(...rows.slice(FIRST_SLIDERS));
  by("more").hidden = rows.length <= FIRST_SLIDERS;
  by("more-title").textContent = `${rows.length - FIRST_SLIDERS} more attributes`;
}

/* Mixing */

function showShare() {
  paint(by("share"), state.share);
  by("share-value").textContent = `${Math.round(state.share * 100)} %`;
  by("share").setAttribute("aria-valuetext", by("share-value").textContent);
}

by("share").addEventListener("input", () => {
  const share = Number(by("share").value);
  if (!source.combines) alone();
  state.share = share;
  showShare();
  refresh();
});
by("second-new").addEventListener("click", () => {
  remember();
  state.second = another(state.second);
  if (state.second === state.first) state.second = another(state.second);
  refresh();
});

/* The buttons */

by("new").addEventListener("click", () => {
  remember();
  state.first = another(state.first);
  if (state.first === state.second && source.numbers) state.second = another(state.second);
  state.requests = {};
  state.share = 0;
  showShare();
  refresh();
});
by("back").addEventListener("click", () => {
  state = past.pop() ?? state;
  showShare();
  for (const [name, input] of inputs) paint(input, state.strengths[name] ?? 0);
  refresh();
});
by("reset").addEventListener("click", () => {
  remember();
  alone();
  refresh();
});
by("photo")?.addEventListener("click", () => {
  remember();
  alone();
  state.first = config.photo_number;
  refresh();
});

/* The training */

const frames = source.frames;
const known = new Map();
let playing = 0;

async function showFrame(number) {
  by("frame-number").value = number;
  paint(by("frame-number"), number);
  by("frame-value").textContent = frames[number].images.toLocaleString("en");
  by("frame-number").setAttribute("aria-valuetext", `${by("frame-value").textContent} images`);
  try {
    if (!known.has(number)) known.set(number, await source.frame(number));
    if (Number(by("frame-number").value) === number) by("frame").src = known.get(number);
  } catch (error) {
    stop();
    fail(error.message);
  }
}

function stop() {
  clearTimeout(playing);
  playing = 0;
  by("run").textContent = "Play";
  by("run").setAttribute("aria-pressed", "false");
}

async function step(number) {
  await showFrame(number);
  if (!playing) return;
  if (number + 1 < frames.length) playing = setTimeout(() => step(number + 1), 180); else stop();
}

if (by("frame")) {
  by("frame-number").max = frames.length - 1;
  by("frame-number").addEventListener("input", () => { stop(); showFrame(Number(by("frame-number").value)); });
  by("run").addEventListener("click", () => {
    if (playing) { stop(); return; }
    by("run").textContent = "Pause";
    by("run").setAttribute("aria-pressed", "true");
    const at = Number(by("frame-number").value);
    playing = setTimeout(() => step(at + 1 < frames.length ? at : 0), 0);
  });
  showFrame(frames.length - 1);
}

state = read(location.hash);
newest = Math.max(newest, state.first, state.second);
showShare();
refresh();
