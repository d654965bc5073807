// A face for a counted number of frames, covered by a mask. Frames are those that requestAnimationFrame announces: a timer
// (setTimeout) runs beside the display's own clock, and misses by a frame or more.
"use strict";

var augfaceFlash = (({ ParameterType }) => {
  const FIXATION = 600;
  const MASK = 300;

  const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

  // Resolves at the first frame that begins `milliseconds` later or after.
  async function frameAfter(milliseconds) {
    const start = await nextFrame();
    let now = start;
    while (now - start < milliseconds) now = await nextFrame();
  }

  // Draws the face in one frame and the mask `frames` later. The times of both frames tell how many went by between: one
  // that the browser left out counts, and the face goes away at the next.
  function show(context, face, mask, frames, frameMilliseconds) {
    return new Promise((resolve) => {
      requestAnimationFrame((start) => {
        context.drawImage(face, 0, 0);
        const look = (now) => {
          const gone = Math.round((now - start) / frameMilliseconds);
          if (gone < frames) {
            requestAnimationFrame(look);
            return;
          }
          context.drawImage(mask, 0, 0);
          resolve({ frames_shown: gone, masked: now });
        };
        requestAnimationFrame(look);
      });
    });
  }

  class Flash {
    static info = {
      name: "augface-flash",
      version: "1.0.0",
      parameters: {
        // Gives a promise of {pictures: [face], mask}.
        load: { type: ParameterType.FUNCTION, default: undefined },
        // Milliseconds that the face is to be seen.
        exposure: { type: ParameterType.FLOAT, default: undefined },
        // Milliseconds of a frame of this screen.
        frame_ms: { type: ParameterType.FLOAT, default: undefined },
        pixels: { type: ParameterType.INT, default: 64 },
        label: { type: ParameterType.STRING, default: "" },
        watch: { type: ParameterType.STRING, default: "" },
        question: { type: ParameterType.STRING, default: "" },
        note: { type: ParameterType.STRING, default: "" },
        choices: { type: ParameterType.STRING, array: true, default: [] },
        texts: { type: ParameterType.OBJECT, default: {} },
        paused: { type: ParameterType.FUNCTION, default: () => 0 },
        // Called with true before the face and with false after the mask: nothing may come between.
        busy: { type: ParameterType.FUNCTION, default: () => {} },
      },
      data: {
        answer: { type: ParameterType.STRING },
        rt: { type: ParameterType.FLOAT },
        exposure: { type: ParameterType.FLOAT },
        frame_ms: { type: ParameterType.FLOAT },
        frames_asked: { type: ParameterType.INT },
        frames_shown: { type: ParameterType.INT },
        hidden: { type: ParameterType.BOOL },
      },
      citations: { apa: "", bibtex: "" },
    };

    constructor(jsPsych) {
      this.jsPsych = jsPsych;
    }

    async trial(display, trial, load) {
      const { make, stage, prepared, shownSide, answers } = parts;
      const { pictures, mask } = await trial.load();
      const canvas = stage(trial.label, trial.pixels, shownSide(1));
      const context = canvas.getContext("2d", { alpha: false });
      const face = prepared(pictures[0], canvas);
      const cover = prepared(mask, canvas);
      let finish;
      const answered = new Promise((resolve) => (finish = resolve));
      const { group, enable, close } = answers(trial.choices, { ...trial.texts, legend: trial.question }, finish);
      const question = make("h1", { className: "question", text: trial.watch, "aria-live": "polite" });
      const note = make("p", { className: "note", text: trial.note || "\u00a0" });
      display.replaceChildren(
        make("section", { className: "trial" }, question, note, make("div", { className: "faces of-1" }, canvas), group));

      let hidden = document.hidden;
      const hide = () => (hidden = hidden || document.hidden);
      document.addEventListener("visibilitychange", hide);
      const frames = Math.max(1, Math.round(trial.exposure / trial.frame_ms));
      trial.busy(true);
      cross(context);
      await frameAfter(FIXATION);
      const { frames_shown } = await show(context, face, cover, frames, trial.frame_ms);
      await frameAfter(MASK);
      blank(context);
      document.removeEventListener("visibilitychange", hide);
      trial.busy(false);

      question.textContent = trial.question;
      const start = performance.now() - trial.paused();
      enable(true);
      load();
      const answer = await answered;
      close();
      const rt = performance.now() - trial.paused() - start;
      const { exposure, frame_ms } = trial;
      return { answer, rt, exposure, frame_ms, frames_asked: frames, frames_shown, hidden };
    }

    simulate(trial, mode, options, load) {
      return augfaceLook.simulated(this, this.jsPsych, trial, mode, options, load);
    }

    simulatedData(trial) {
      const frames = Math.max(1, Math.round(trial.exposure / trial.frame_ms));
      return { exposure: trial.exposure, frame_ms: trial.frame_ms, frames_asked: frames, frames_shown: frames, hidden: false };
    }
  }

  function blank(context) {
    const { width, height } = context.canvas;
    context.fillStyle = "#808080";
    context.fillRect(0, 0, width, height);
  }

  function cross(context) {
    blank(context);
    const { width, height } = context.canvas;
    const arm = width / 24;
    context.strokeStyle = "#ffffff";
    context.lineWidth = Math.max(2, width / 110);
    context.beginPath();
    context.moveTo(width / 2 - arm, height / 2);
    context.lineTo(width / 2 + arm, height / 2);
    context.moveTo(width / 2, height / 2 - arm);
    context.lineTo(width / 2, height / 2 + arm);
    context.stroke();
  }

  // The frame of this screen in ms: the median of some sixty.
  Flash.measureFrame = async () => {
    const times = [];
    for (let number = 0; number < 70; number += 1) times.push(await nextFrame());
    const steps = times.slice(10).map((time, place) => time - times[place + 9]).filter((step) => step > 0).sort((a, b) => a - b);
    return steps.length ? steps[Math.floor(steps.length / 2)] : 1000 / 60;
  };

  return Flash;
})(jsPsychModule);
