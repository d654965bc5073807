// One face or two, for as long as it takes, and a question.
"use strict";

var augfaceLook = (({ ParameterType }) => {
  class Look {
    static info = {
      name: "augface-look",
      version: "1.0.0",
      parameters: {
        // Gives a promise of the pictures, from left to right, as what a canvas can draw.
        load: { type: ParameterType.FUNCTION, default: undefined },
        count: { type: ParameterType.INT, default: 1 },
        pixels: { type: ParameterType.INT, default: 64 },
        labels: { type: ParameterType.STRING, array: true, default: [""] },
        question: { type: ParameterType.STRING, default: "" },
        choices: { type: ParameterType.STRING, array: true, default: [] },
        // The words on the buttons and their keys.
        texts: { type: ParameterType.OBJECT, default: {} },
        // Gives the milliseconds that the rater has paused so far.
        paused: { type: ParameterType.FUNCTION, default: () => 0 },
      },
      data: { answer: { type: ParameterType.STRING }, rt: { type: ParameterType.FLOAT } },
      citations: { apa: "", bibtex: "" },
    };

    constructor(jsPsych) {
      this.jsPsych = jsPsych;
    }

    async trial(display, trial, load) {
      const { make, stage, prepared, shownSide, answers } = parts;
      const pictures = await trial.load();
      const shown = shownSide(trial.count);
      const canvases = pictures.map((_, place) => stage(trial.labels[place], trial.pixels, shown));
      let finish;
      const answered = new Promise((resolve) => (finish = resolve));
      const { group, enable, close } = answers(trial.choices, { ...trial.texts, legend: trial.question }, finish);
      const question = make("h1", { className: "question", text: trial.question, tabindex: "-1" });
      const faces = make("div", { className: `faces of-${trial.count}` }, ...canvases);
      display.replaceChildren(make("section", { className: "trial" }, question, faces, group));
      canvases.forEach((canvas, place) => canvas.getContext("2d").drawImage(prepared(pictures[place], canvas), 0, 0));
      question.focus({ preventScroll: true }); // a screen reader says the question, and Tab leads to the answers
      const start = performance.now() - trial.paused();
      enable(true);
      load();
      const answer = await answered;
      close();
      const rt = performance.now() - trial.paused() - start;
      return { answer, rt };
    }

    simulate(trial, mode, options, load) {
      return simulated(this, this.jsPsych, trial, mode, options, load);
    }
  }

  // Runs the trial as a rater would, and clicks; used by both plugins that ask for a judgement.
  function simulated(plugin, jsPsych, trial, mode, options, load) {
    const wanted = options.data && options.data.answer;
    const answer = wanted || jsPsych.randomization.sampleWithoutReplacement(trial.choices, 1)[0];
    if (mode === "data-only") {
      load();
      return Promise.resolve({ answer, rt: 500, ...plugin.simulatedData(trial) });
    }
    const display = jsPsych.getDisplayElement();
    const click = () => {
      const button = display.querySelector(`[data-choice="${CSS.escape(answer)}"]`);
      if (button && !button.disabled) button.click();
      else setTimeout(click, 5);
    };
    return plugin.trial(display, trial, () => {
      load();
      setTimeout(click, 20);
    });
  }
  Look.simulated = simulated;
  Look.prototype.simulatedData = () => ({});
  return Look;
})(jsPsychModule);
