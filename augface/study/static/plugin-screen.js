// A page of text with buttons. The answer is the name of the button.
"use strict";

var augfaceScreen = (({ ParameterType }) => {
  class Screen {
    static info = {
      name: "augface-screen",
      version: "1.0.0",
      parameters: {
        title: { type: ParameterType.STRING, default: "" },
        eyebrow: { type: ParameterType.STRING, default: "" },
        // Paragraphs, in plain text.
        text: { type: ParameterType.STRING, array: true, default: [] },
        note: { type: ParameterType.STRING, default: "" },
        // Which keys there are: shown where there is a keyboard.
        keys: { type: ParameterType.STRING, default: "" },
        // [name, label], the first one being the one that most will want.
        buttons: { type: ParameterType.COMPLEX, array: true, default: [] },
      },
      data: { button: { type: ParameterType.STRING } },
      citations: { apa: "", bibtex: "" },
    };

    constructor(jsPsych) {
      this.jsPsych = jsPsych;
    }

    trial(display, trial) {
      const { make } = parts;
      const heading = make("h1", { text: trial.title, tabindex: "-1" });
      const page = make("section", { className: "screen" });
      if (trial.eyebrow) page.append(make("p", { className: "eyebrow", text: trial.eyebrow }));
      page.append(heading, ...trial.text.map((text) => make("p", { text })));
      if (trial.note) page.append(make("p", { className: "note", text: trial.note }));
      if (trial.keys) page.append(make("p", { className: "note keys", text: trial.keys }));
      const row = make("div", { className: "actions" });
      trial.buttons.forEach(([name, label], place) => {
        const button = make("button", { type: "button", className: place ? "quiet" : "primary", text: label, "data-choice": name });
        button.addEventListener("click", () => this.jsPsych.finishTrial({ button: name }), { once: true });
        row.append(button);
      });
      page.append(row);
      display.replaceChildren(page);
      window.scrollTo(0, 0);
      setTimeout(() => heading.focus({ preventScroll: true }), 0); // a screen reader reads on from here
    }

    simulate(trial, mode, options, load) {
      const name = (options.data && options.data.button) || (trial.buttons[0] || [""])[0];
      if (mode === "data-only") {
        load();
        this.jsPsych.finishTrial({ button: name });
        return;
      }
      const display = this.jsPsych.getDisplayElement();
      this.trial(display, trial);
      load();
      const button = display.querySelector(`[data-choice="${CSS.escape(name)}"]`);
      if (button) this.jsPsych.pluginAPI.clickTarget(button, 50);
    }
  }
  return Screen;
})(jsPsychModule);
