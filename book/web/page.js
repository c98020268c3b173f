// What every playground needs of its page. `calm`: the reader asks for little motion.
function vrnn3dPage(root) {
  "use strict";
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const find = (selector) => root.querySelector(selector);
  const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
  // An element, "svg:name" for one of a drawing; the attribute "text" is its text.
  const make = (name, attributes = {}, parent = null) => {
    const element = name.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4)) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "text") element.textContent = value;
      else element.setAttribute(key, value);
    }
    if (parent) parent.append(element);
    return element;
  };
  return { find, calm, clamp, make };
}

