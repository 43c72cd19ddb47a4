// Moves the stages of a run in progress; the page works without it.
const table = document.querySelector("tbody[data-live]");
async function move() {
  const answer = await fetch(table.dataset.live);
  if (!answer.ok) return setTimeout(move, 3000);
  const run = await answer.json();
  document.querySelector("#state").textContent = run.state;
  document.querySelector("#seconds").textContent = run.seconds;
  table.replaceChildren(...run.stages.map((stage) => {
    const row = document.createElement("tr");
    for (const [value, kind] of [[stage.name, ""], [stage.state, ""], [stage.seconds, "n"], [stage.detail, ""]]) {
      const cell = document.createElement("td");
      cell.textContent = value;
      cell.className = kind;
      row.append(cell);
    }
    return row;
  }));
  if (run.state === "running") setTimeout(move, 1000);
  else location.reload();
}
if (table) setTimeout(move, 1000);
