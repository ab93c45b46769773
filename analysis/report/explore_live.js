// Asks the run for what is new every two seconds, and shows it; the choices stay.
let version = "", misses = 0;

async function look() {
  const answer = await fetch(`data.json?known=${version}`, {cache: "no-store"});
  const now = await answer.json();
  $("line").textContent = now.why ?? now.line;
  $("share").value = now.share ?? 0;
  if (now.explored) take(now);
  return now.ended;
}

function take(now) {
  version = now.version;
  $("sheets").textContent = now.explored.sheets.map((uri, v) => `#explorer[data-view="${v}"] .tile { background-image: url(${uri}); }`).join("\n");
  $("none").hidden = true;
  adopt({...JSON.parse(now.explored.json), name: now.name});
  reveal();
}

async function follow() {
  let ended = false;
  try {
    ended = await look();
    misses = 0;
  } catch {
    ended = ++misses === 3;  // nobody answers any more
  }
  if (!ended) return setTimeout(follow, 2000);
  $("line").textContent += " · the run has ended; what is here stays";
}

follow();
