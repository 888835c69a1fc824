// The texts of markers in figures: under the pointer or a finger, and by the arrow keys.

const REACH = 24; // pixels around a marker

// Return the markers of a drawing with their texts and positions, from left to right. Positions are fractions of the
// drawing, so that they stay valid when it moves or is resized.
function marksOf(drawing, hover) {
  const frame = drawing.querySelector("svg").getBoundingClientRect();
  const marks = [];
  for (const [id, texts] of Object.entries(hover)) {
    for (const node of document.getElementById(id)?.querySelectorAll("[data-mark]") ?? []) {
      const box = node.getBoundingClientRect();
      const x = (box.x + box.width / 2 - frame.x) / frame.width;
      const y = (box.y + box.height / 2 - frame.y) / frame.height;
      marks.push({ node, text: texts[Number(node.dataset.mark)], x, y });
    }
  }
  return marks.sort((one, other) => one.x - other.x || other.y - one.y);
}

// Return the marker under the pointer, or the nearest within reach; null without one.
function nearest(drawing, marks, event) {
  const exact = marks.find((mark) => mark.node === event.target);
  if (exact) return exact;
  const frame = drawing.querySelector("svg").getBoundingClientRect();
  let [best, distance] = [null, REACH];
  for (const mark of marks) {
    const d = Math.hypot(frame.x + mark.x * frame.width - event.clientX, frame.y + mark.y * frame.height - event.clientY);
    if (d < distance) [best, distance] = [mark, d];
  }
  return best;
}

// Show the text of a marker beside it; null: hide the text.
function showTip(tip, drawing, mark) {
  document.querySelector("[data-marked]")?.removeAttribute("data-marked");
  tip.hidden = !mark;
  if (!mark) return;
  mark.node.setAttribute("data-marked", "");
  tip.textContent = mark.text;
  const frame = drawing.querySelector("svg").getBoundingClientRect();
  const [x, y] = [frame.x + mark.x * frame.width, frame.y + mark.y * frame.height];
  const left = Math.min(Math.max(8, x - tip.offsetWidth / 2), document.documentElement.clientWidth - tip.offsetWidth - 8);
  const above = y - tip.offsetHeight - 14;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above > 8 ? above : y + 14) + scrollY}px`;
}

function watchFigure(drawing, hover, tip) {
  let marks = null;
  let position = -1; // of the marker that the arrow keys chose
  const allMarks = () => (marks ??= marksOf(drawing, hover));
  const show = (mark) => showTip(tip, drawing, mark);
  const point = (event) => show(nearest(drawing, allMarks(), event));
  drawing.addEventListener("pointermove", point);
  drawing.addEventListener("pointerdown", point);
  drawing.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(null));
  drawing.addEventListener("blur", () => show(null));
  drawing.addEventListener("keydown", (event) => {
    const last = allMarks().length - 1;
    const steps = { ArrowRight: position + 1, ArrowUp: position + 1, ArrowLeft: position - 1, ArrowDown: position - 1, Home: 0, End: last };
    if (event.key === "Escape") show(null);
    if (!(event.key in steps)) return;
    event.preventDefault();
    position = Math.min(Math.max(0, steps[event.key]), last);
    show(allMarks()[position] ?? null);
  });
}
