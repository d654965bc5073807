// What the plugins share: building a page without markup in strings, pictures on canvases, answers by key and by touch.
"use strict";

const parts = (() => {
  // An element with a class, text and attributes.
  function make(tag, { className = "", text = "", ...attributes } = {}, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  // A canvas that shows pictures of `pixels` pixels as large as the page allows, sharp on any screen.
  function stage(label, pixels, shown) {
    const canvas = make("canvas", { className: "face", role: "img", "aria-label": label });
    const side = Math.round(shown * Math.max(1, window.devicePixelRatio || 1));
    canvas.width = canvas.height = Math.max(side, pixels);
    canvas.style.width = canvas.style.height = `${shown}px`;
    return canvas;
  }

  // The picture in the size of the canvas, drawn beforehand, so that showing it is a mere copy.
  function prepared(picture, canvas) {
    const copy = document.createElement("canvas");
    copy.width = canvas.width;
    copy.height = canvas.height;
    const context = copy.getContext("2d");
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, copy.width, copy.height);
    return copy;
  }

  // CSS pixels of a picture's side: `count` of them beside each other, with room for question and answers.
  function shownSide(count) {
    const wide = (Math.min(window.innerWidth, 960) - 32 - 16 * (count - 1)) / count;
    const high = window.innerHeight - (count > 1 ? 300 : 330);
    return Math.floor(Math.max(96, Math.min(wide, high, 320)));
  }

  // The answers as buttons; `chosen` is called once, with the answer, by key, mouse or touch.
  function answers(choices, texts, chosen) {
    const group = make("div", { className: `choices of-${choices.length}`, role: "group", "aria-label": texts.legend });
    const keys = {};
    let open = false;
    function choose(choice) {
      if (!open || document.querySelector("dialog[open]")) return;
      open = false;
      document.removeEventListener("keydown", press);
      chosen(choice);
    }
    for (const choice of choices) {
      const key = texts.key[choice];
      keys[key.toLowerCase()] = choice;
      const hint = make("kbd", { text: texts.key_names[key] || key.toUpperCase(), "aria-hidden": "true" });
      const button = make("button", { type: "button", className: "choice", "data-choice": choice, "aria-keyshortcuts": key },
        make("span", { text: texts.choices[choice] }), hint);
      button.addEventListener("click", () => choose(choice));
      group.append(button);
    }
    function press(event) {
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      const choice = keys[event.key.toLowerCase()];
      if (choice === undefined) return;
      event.preventDefault();
      choose(choice);
    }
    const enable = (on) => {
      open = on;
      for (const button of group.children) button.disabled = !on;
    };
    document.addEventListener("keydown", press);
    enable(false);
    return { group, enable, close: () => document.removeEventListener("keydown", press) };
  }

  return { make, stage, prepared, shownSide, answers };
})();
