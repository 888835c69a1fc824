// What the markers of a figure say: under the pointer, under a finger, or by the arrow keys.

const REACH = 24; // pixels around a marker

// The markers of a drawing with their texts and places, from the left to the right. Places are shares of the drawing,
// so that they stay what they are when it moves or grows.
function marksOf(drawing, hover) {
  const frame = drawing.querySelector("svg").getBoundingClientRect();
  const found = [];
  for (const [id, texts] of Object.entries(hover)) {
    for (const mark of document.getElementById(id)?.querySelectorAll("[data-mark]") ?? []) {
      const box = mark.getBoundingClientRect();
      const x = (box.x + box.width / 2 - frame.x) / frame.width;
      const y = (box.y + box.height / 2 - frame.y) / frame.height;
      found.push({ mark, text: texts[Number(mark.dataset.mark)], x, y });
    }
  }
  return found.sort((one, other) => one.x - other.x || other.y - one.y);
}

// The marker at a place of the window, or the nearest within reach.
function nearest(drawing, marks, event) {
  const exact = marks.find((each) => each.mark === event.target);
  if (exact) return exact;
  const frame = drawing.querySelector("svg").getBoundingClientRect();
  let [best, distance] = [null, REACH];
  for (const each of marks) {
    const away = Math.hypot(frame.x + each.x * frame.width - event.clientX, frame.y + each.y * frame.height - event.clientY);
    if (away < distance) [best, distance] = [each, away];
  }
  return best;
}

function showTip(tip, drawing, each) {
  document.querySelector("[data-marked]")?.removeAttribute("data-marked");
  tip.hidden = !each;
  if (!each) return;
  each.mark.setAttribute("data-marked", "");
  tip.textContent = each.text;
  const frame = drawing.querySelector("svg").getBoundingClientRect();
  const [x, y] = [frame.x + each.x * frame.width, frame.y + each.y * frame.height];
  const left = Math.min(Math.max(8, x - tip.offsetWidth / 2), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const above = y - tip.offsetHeight - 14;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 8 ? above : y + 14) + scrollY}px`;
}

function watchFigure(drawing, hover, tip) {
  let marks = null;
  let place = -1;
  const known = () => (marks ??= marksOf(drawing, hover));
  const show = (each) => showTip(tip, drawing, each);
  const point = (event) => show(nearest(drawing, known(), event));
  drawing.addEventListener("pointermove", point);
  drawing.addEventListener("pointerdown", point);
  drawing.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(null));
  drawing.addEventListener("blur", () => show(null));
  drawing.addEventListener("keydown", (event) => {
    const last = known().length - 1;
    const steps = { ArrowRight: place + 1, ArrowUp: place + 1, ArrowLeft: place - 1, ArrowDown: place - 1, Home: 0, End: last };
    if (event.key === "Escape") show(null);
    if (!(event.key in steps)) return;
    event.preventDefault();
    place = Math.min(Math.max(0, steps[event.key]), last);
    show(known()[place] ?? null);
  });
}
