// A line of Python lights up with the instructions made of it, and an instruction with its line: both carry the same
// data-at. Pointing and the keyboard do the same; what has the focus stays lit when the pointer leaves.
const lit = new Set();

function show(line) {
  for (const old of lit) old.classList.remove("lit");
  lit.clear();
  if (!line) return;
  const pair = line.closest(".pair");
  for (const other of pair.querySelectorAll(`.line[data-at="${CSS.escape(line.dataset.at)}"]`)) {
    other.classList.add("lit");
    lit.add(other);
  }
  for (const side of pair.querySelectorAll(".source, .assembly")) {
    const first = side.querySelector(".lit");
    if (!first || side.contains(line)) continue;
    const box = side.getBoundingClientRect(), at = first.getBoundingClientRect();
    if (at.top < box.top || at.bottom > box.bottom) side.scrollTop += at.top - box.top - box.height / 3;
  }
}

// What is read first is the loop itself.
for (const side of document.querySelectorAll(".source")) {
  const first = side.querySelector(".hot");
  if (first) side.scrollTop = first.offsetTop - side.offsetTop - side.clientHeight / 4;
}

const lineOf = (event) => (event.target instanceof Element ? event.target.closest(".line.hot") : null);
const focused = () => (document.activeElement ? document.activeElement.closest(".line.hot") : null);

document.addEventListener("pointerover", (event) => show(lineOf(event) || focused()));
document.addEventListener("focusin", (event) => show(lineOf(event)));
document.addEventListener("focusout", () => show(null));

// Up and down go from one line to the next that has instructions, so that Tab is not needed for each of them.
document.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], line = lineOf(event);
  if (!step || !line) return;
  const lines = [...line.closest(".source, .assembly").querySelectorAll(".line.hot")];
  const next = lines[lines.indexOf(line) + step];
  if (next) next.focus();
  event.preventDefault();
});
