"use strict";
// The page is complete without this: it adds a filter, and the values at a moment.
(function () {
  const form = document.querySelector(".filter");
  function filter() {
    const scenario = form.elements.scenario.value;
    const failed = form.elements.failed.checked;
    document.querySelectorAll("[data-scenario]").forEach(function (entry) {
      const other = scenario !== "" ? entry.dataset.scenario !== scenario : false;
      const passed = failed ? entry.dataset.failed === "0" : false;
      entry.hidden = other || passed;
    });
  }
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  filter();

  // A path is a row of steps, in values: M x 0 V value H x V value and so on, Z where the peer goes down.
  function steps(path) {
    const found = [];
    let x = 0;
    for (const part of path.getAttribute("d").match(/[MHVZ][^MHVZ]*/g) || []) {
      if (part[0] === "V") found.push([x, Number(part.slice(1))]);
      else if (part[0] === "Z") found.push([x, null]);
      else x = Number(part.slice(1).split(" ")[0]);
    }
    return found;
  }
  function valueAt(found, x) {
    let value = null;
    for (const step of found) {
      if (step[0] > x) break;
      value = step[1];
    }
    return value;
  }
  function standingAt(bars, x) {
    for (const bar of bars.querySelectorAll("rect")) {
      const from = Number(bar.getAttribute("x"));
      const inside = x >= from ? from + Number(bar.getAttribute("width")) >= x : false;
      if (inside) return bar.getAttribute("class");
    }
    return "";
  }

  document.querySelectorAll(".chart[data-span]").forEach(function (chart) {
    const width = Number(chart.dataset.width);
    const from = Number(chart.dataset.from);
    const span = Number(chart.dataset.span);
    const plot = chart.querySelector(".plot");
    const cursor = plot.querySelector(".cursor");
    const values = Array.from(chart.querySelectorAll(".value")).map(function (label) {
      const of = label.dataset.of;
      const path = plot.querySelector("[data-of=" + of + "]");
      const bars = of[0] === "s" ? plot.querySelector(".bars[data-lane='" + of.slice(1) + "']") : null;
      return { label: label, rest: label.textContent, path: path, bars: bars, found: null };
    });
    const row = document.createElement("label");
    row.className = "moment";
    row.textContent = "Values at a moment ";
    const slider = document.createElement("input");
    slider.type = "range";
    slider.max = String(width);
    slider.value = "0";
    const time = document.createElement("output");
    row.append(slider, time);
    chart.after(row);

    function show(x) {
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      time.textContent = (from + x / width * span).toFixed(2) + " s";
      slider.setAttribute("aria-valuetext", time.textContent);
      for (const value of values) {
        if (value.bars) value.label.textContent = standingAt(value.bars, x);
        else if (value.path) {
          value.found = value.found || steps(value.path);
          const now = valueAt(value.found, x);
          value.label.textContent = now === null ? "" : String(now);
        }
        value.label.classList.add("now");
      }
    }
    function rest() {
      cursor.setAttribute("x1", -9);
      cursor.setAttribute("x2", -9);
      time.textContent = "";
      for (const value of values) {
        value.label.textContent = value.rest;
        value.label.classList.remove("now");
      }
    }
    slider.addEventListener("input", function () { show(Number(slider.value)); });
    slider.addEventListener("blur", rest);
    plot.addEventListener("pointermove", function (event) {
      const x = Math.min(Math.max(event.clientX - plot.getBoundingClientRect().left, 0), width);
      slider.value = String(x);
      show(x);
    });
    plot.addEventListener("pointerleave", rest);
  });
})();
