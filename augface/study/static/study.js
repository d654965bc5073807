// One rater's session: asks where it stands, shows what comes next, hands in each answer before the next face.
"use strict";

(() => {
  const config = JSON.parse(document.getElementById("config").textContent);
  const texts = config.texts;
  const { make } = parts;
  const byId = (id) => document.getElementById(id);
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

  class Refused extends Error {
    constructor(status, message) {
      super(message);
      this.status = status;
    }
  }

  // A server on the same origin. The link's secret stays in the address after #, which browsers send to nobody.
  class Server {
    constructor(token) {
      this.token = token;
    }

    async request(method, path, content) {
      const headers = { Authorization: `Bearer ${this.token}` };
      if (content !== undefined) headers["Content-Type"] = "application/json";
      const response = await fetch(path, {
        method, headers, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", redirect: "error",
        body: content === undefined ? undefined : JSON.stringify(content),
      });
      if (!response.ok) throw new Refused(response.status, (await response.text()).slice(0, 300));
      return response;
    }

    async json(method, path, content) {
      return (await this.request(method, path, content)).json();
    }

    session() {
      return this.json("GET", "/api/session");
    }

    agree(device) {
      return this.json("POST", "/api/agree", { device });
    }

    answer(answer) {
      return this.json("POST", "/api/answers", answer);
    }

    withdraw() {
      return this.json("POST", "/api/withdraw", {});
    }

    async picture(name) {
      return createImageBitmap(await (await this.request("GET", `/api/pictures/${name}`)).blob());
    }

    async mask(number) {
      return createImageBitmap(await (await this.request("GET", `/api/masks/${number}`)).blob());
    }
  }

  // A page that holds everything; answers stay on the device until they are saved as a file.
  class File {
    constructor(number) {
      this.number = number;
      this.store = `augface-study-${config.id}-${number}`;
      this.trials = config.sessions[number];
      this.kept = null;
      try {
        this.kept = JSON.parse(localStorage.getItem(this.store));
      } catch {
        this.kept = null; // a browser that keeps nothing: the session then has to be done in one go
      }
    }

    keep() {
      try {
        localStorage.setItem(this.store, JSON.stringify(this.kept));
      } catch {
        // as above
      }
    }

    async session() {
      if (!this.trials) throw new Refused(401, "");
      return this.state();
    }

    state() {
      const answered = this.kept ? this.kept.answers : [];
      const skipped = new Set(answered.filter((one) => one.answer === "skip").map((one) => this.trials[one.trial].block));
      const done = new Set(answered.map((one) => one.trial));
      const trial = this.trials.find((one) => !done.has(one.trial) && !skipped.has(one.block)) || null;
      const state = this.kept && this.kept.withdrawn ? "withdrawn" : !this.kept ? "new" : trial ? "going" : "finished";
      const behind = this.trials.filter((one) => done.has(one.trial) || skipped.has(one.block)).length;
      return { state, trial, progress: { done: behind, of: this.trials.length, parts: config.parts } };
    }

    async agree(device) {
      this.kept = { study: config.id, number: Number(this.number), session: randomName(), device, answers: [] };
      this.keep();
      return this.state();
    }

    async answer(answer) {
      if (!this.kept.answers.some((one) => one.trial === answer.trial)) this.kept.answers.push(answer);
      this.keep();
      return this.state();
    }

    async withdraw() {
      this.kept = { withdrawn: true, answers: [] };
      this.keep();
      return this.state();
    }

    async picture(name) {
      return decoded(config.pictures[name]);
    }

    async mask(number) {
      return decoded(config.masks[number]);
    }

    save() {
      const name = `answers-${this.number}-${this.kept.session.slice(0, 8)}.json`;
      const address = URL.createObjectURL(new Blob([JSON.stringify(this.kept)], { type: "application/json" }));
      make("a", { href: address, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10000);
      return name;
    }
  }

  async function decoded(address) {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    return createImageBitmap(picture);
  }

  function randomName() {
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing where pages come over plain HTTP
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // The address: #TOKEN of a server's link, or #NUMBER of a page; `&simulate=visual` lets jsPsych answer a preview.
  const [secret, ...options] = location.hash.slice(1).split("&");
  const simulation = (options.find((option) => option.startsWith("simulate=")) || "").slice("simulate=".length);
  const home = config.sessions ? new File(secret) : new Server(secret);

  let trial = null;
  let progress = { done: 0, of: 1, parts: 1 };
  let explained = null;
  let frame = 1000 / 60;
  let stopped = false;

  // The bar, pausing

  let busy = false;
  let pauseWanted = false;
  let pausedFor = 0;
  let pausedSince = null;
  const paused = () => pausedFor + (pausedSince === null ? 0 : performance.now() - pausedSince);

  function pause() {
    if (byId("bar").hidden || document.querySelector("dialog[open]")) return;
    pauseWanted = busy;
    if (busy) return;
    pausedSince = performance.now();
    byId("stop-sure").hidden = true;
    byId("paused-main").hidden = false;
    byId("paused").showModal();
  }

  function setBusy(value) {
    busy = value;
    if (!busy && pauseWanted) pause();
  }

  function fillIn() {
    document.documentElement.lang = texts.language;
    document.documentElement.dir = texts.direction;
    const words = {
      "pause-text": texts.pause, "paused-title": texts.paused_title, "paused-text": texts.paused, "go-on": texts.go_on,
      stop: texts.stop, "stop-title": texts.stop_title, "stop-text": texts.stop_sure, "stop-yes": texts.stop_yes,
      "stop-no": texts.stop_no, "failed-title": texts.saving_failed_title, "failed-text": texts.saving_failed,
      "try-again": texts.try_again,
    };
    for (const [id, text] of Object.entries(words)) byId(id).textContent = text;
    byId("pause").addEventListener("click", pause);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.repeat && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        pause();
      }
    });
    byId("paused").addEventListener("close", () => {
      pausedFor = paused();
      pausedSince = null;
    });
    byId("go-on").addEventListener("click", () => byId("paused").close());
    const ask = (sure) => () => {
      byId("stop-sure").hidden = !sure;
      byId("paused-main").hidden = sure;
      byId(sure ? "stop-no" : "go-on").focus();
    };
    byId("stop").addEventListener("click", ask(true));
    byId("stop-no").addEventListener("click", ask(false));
    byId("stop-yes").addEventListener("click", withdraw);
    byId("failed").addEventListener("cancel", (event) => event.preventDefault());
  }

  function showProgress() {
    const text = filled(texts.progress, progress);
    byId("progress").max = progress.of;
    byId("progress").value = progress.done;
    byId("progress").setAttribute("aria-valuetext", text);
    byId("count").textContent = text;
  }

  // Tries until it works: whatever has to be kept is kept before the session goes on.
  async function surely(action) {
    for (;;) {
      try {
        return await action();
      } catch (error) {
        if (error instanceof Refused && [401, 403, 409, 410].includes(error.status)) throw error;
        byId("failed-reason").textContent = error instanceof Refused ? error.message : "";
        byId("failed").showModal();
        await new Promise((resolve) => byId("try-again").addEventListener("click", resolve, { once: true }));
        byId("failed").close();
      }
    }
  }

  function take(state) {
    trial = state.trial;
    progress = state.progress || progress;
    showProgress();
  }

  async function keep(answer, detail) {
    const content = { trial: trial.trial, answer, detail, id: randomName() };
    try {
      take(await surely(() => home.answer(content)));
    } catch (error) {
      end(error.status === 410 ? "withdrawn" : "unknown");
    }
  }

  async function withdraw() {
    byId("paused").close();
    try {
      await surely(() => home.withdraw());
      end("withdrawn");
    } catch {
      end("unknown");
    }
  }

  // The last page; nothing comes after it.
  function end(kind) {
    stopped = true;
    byId("bar").hidden = true;
    const main = byId("study");
    main.replaceChildren();
    const page = make("section", { className: "screen" }, make("h1", { text: texts[`${kind}_title`], tabindex: "-1" }));
    page.append(make("p", { text: texts[kind] }));
    if (kind === "finished" && home instanceof File) {
      page.replaceChildren(make("h1", { text: texts.finished_file_title, tabindex: "-1" }), make("p", { text: texts.finished_file }));
      const status = make("p", { className: "note", role: "status" });
      const save = make("button", { type: "button", className: "primary", text: texts.save_file });
      save.addEventListener("click", () => (status.textContent = filled(texts.file_email, { name: home.save() })));
      page.append(make("div", { className: "actions" }, save), status);
    }
    if (kind === "finished") {
      const stop = make("button", { type: "button", className: "quiet", text: texts.stop });
      stop.addEventListener("click", () => {
        page.replaceChildren(make("h1", { text: texts.stop_title, tabindex: "-1" }), make("p", { text: texts.stop_sure }));
        const yes = make("button", { type: "button", className: "danger", text: texts.stop_yes });
        const no = make("button", { type: "button", className: "quiet", text: texts.stop_no });
        yes.addEventListener("click", withdraw);
        no.addEventListener("click", () => end("finished"));
        page.append(make("div", { className: "actions" }, yes, no));
        page.firstChild.focus();
      });
      page.append(make("p", { className: "note", text: texts.finished_stop }), make("div", { className: "actions" }, stop));
    }
    main.append(page);
    page.firstChild.focus({ preventScroll: true });
    window.scrollTo(0, 0);
    document.documentElement.dataset.state = kind;
  }

  // What comes when

  const shownTexts = { choices: texts.choices, key: texts.key, key_names: texts.key_names };
  const isTask = (task) => () => !stopped && trial !== null && explained === trial.block && trial.task === task;

  async function pictures() {
    return Promise.all(trial.images.map((name) => surely(() => home.picture(name))));
  }

  function keyLine(current) {
    const names = current.choices.map((choice) => {
      const key = texts.key[choice];
      return `${texts.key_names[key] || key.toUpperCase()} ${texts.choices[choice].replace(/^\d+ /, "")}`;
    });
    return filled(texts.keys, { keys: [...names, `${texts.key_names.Escape || "Esc"} ${texts.pause}`].join("  ·  ") });
  }

  const explanation = {
    timeline: [{
      type: augfaceScreen,
      eyebrow: () => filled(texts.part, { part: trial.part, parts: progress.parts }),
      title: () => texts.explain[trial.block].title,
      text: () => texts.explain[trial.block].text,
      keys: () => keyLine(trial),
      buttons: () => [["start", texts.start], ["skip", texts.explain[trial.block].skip]],
      on_start: () => (byId("bar").hidden = false),
      on_finish: async ({ button }) => {
        explained = trial.block;
        if (button === "skip") await keep("skip", {});
      },
    }],
    conditional_function: () => !stopped && trial !== null && explained !== trial.block,
  };

  const common = {
    pixels: config.size,
    question: () => texts.question[trial.block],
    choices: () => trial.choices,
    texts: shownTexts,
    paused,
  };

  const flash = {
    timeline: [{
      type: augfaceFlash,
      ...common,
      load: async () => {
        const [shown, mask] = await Promise.all([pictures(), surely(() => home.mask(trial.mask))]);
        return { pictures: shown, mask };
      },
      exposure: () => trial.exposure,
      frame_ms: () => frame,
      label: texts.face,
      watch: texts.watch,
      note: () => (trial.practice ? texts.practice : ""),
      busy: setBusy,
      on_finish: ({ answer, rt, exposure, frame_ms, frames_asked, frames_shown, hidden }) =>
        keep(answer, { rt, exposure, frame_ms, frames_asked, frames_shown, hidden }),
    }],
    conditional_function: isTask("flash"),
  };

  const look = {
    timeline: [{
      type: augfaceLook,
      ...common,
      load: pictures,
      count: () => trial.images.length,
      labels: () => (trial.images.length === 2 ? [texts.left_face, texts.right_face] : [texts.face]),
      on_finish: ({ answer, rt }) => keep(answer, { rt }),
    }],
    conditional_function: () => ["untimed", "pairs", "rating"].some((task) => isTask(task)()),
  };

  const questions = {
    timeline: [explanation, flash, look],
    loop_function: () => !stopped && trial !== null,
    conditional_function: () => !stopped && trial !== null,
  };

  function beginning(jsPsych) {
    const about = { title: config.title, minutes: config.minutes, parts: config.parts };
    const consent = texts.consent.filter((_, place) => config.flash || place !== texts.consent_flash_only);
    const contact = config.contact ? [filled(texts.contact, { contact: config.contact })] : [];
    return [
      {
        type: augfaceScreen,
        title: filled(texts.welcome_title, about),
        text: texts.welcome.map((text) => filled(text, about)),
        note: texts.narrow,
        buttons: [["go_on", texts.go_on]],
      },
      {
        type: augfaceScreen,
        title: texts.consent_title,
        text: [...consent, ...contact],
        buttons: [["agree", texts.agree], ["decline", texts.decline]],
        on_finish: async ({ button }) => {
          if (button === "decline") {
            end("declined");
            jsPsych.abortExperiment();
            return;
          }
          await measure();
          const device = {
            frame_ms: frame, width: screen.width, height: screen.height, ratio: window.devicePixelRatio || 1,
            touch: navigator.maxTouchPoints > 0,
          };
          take(await surely(() => home.agree(device)));
        },
      },
    ];
  }

  async function measure() {
    if (!config.flash) return;
    byId("study").querySelector("#jspsych-content").replaceChildren(make("p", { className: "waiting", text: texts.screen_check }));
    frame = await augfaceFlash.measureFrame();
  }

  async function main() {
    fillIn();
    document.title = config.title;
    let state;
    try {
      state = await surely(() => home.session());
    } catch (error) {
      end(error.status === 410 ? "withdrawn" : config.sessions && !secret ? "no_number" : "unknown");
      return;
    }
    byId("study").replaceChildren();
    if (state.state === "withdrawn" || state.state === "finished") {
      end(state.state);
      return;
    }
    const jsPsych = initJsPsych({ display_element: "study", override_safe_mode: true });
    window.addEventListener("resize", () => byId("study").classList.toggle("small", parts.shownSide(1) <= 96));
    const timeline = [];
    if (state.state === "new") timeline.push(...beginning(jsPsych));
    else {
      take(state);
      timeline.push({
        type: augfaceScreen, title: config.title, text: [texts.paused], buttons: [["go_on", texts.go_on]], on_finish: measure,
      });
    }
    timeline.push(questions);
    document.documentElement.dataset.state = "running";
    if (simulation && state.preview) await jsPsych.simulate(timeline, simulation === "visual" ? "visual" : "data-only");
    else await jsPsych.run(timeline);
    if (!stopped) end("finished");
  }

  main();
})();
