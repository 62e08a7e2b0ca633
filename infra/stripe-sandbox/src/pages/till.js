const card = document.getElementById("card");
for (const button of document.querySelectorAll("[data-card]")) {
  button.addEventListener("click", () => { card.value = button.dataset.card; card.focus(); });
}
// One press pays once; coming back by history makes the buttons usable again.
const busy = (on) => { for (const button of document.querySelectorAll("[type=submit]")) button.disabled = on; };
for (const form of document.forms) form.addEventListener("submit", () => setTimeout(busy, 0, true));
addEventListener("pageshow", () => busy(false));
