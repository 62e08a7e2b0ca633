const form = document.querySelector("form");
const card = document.getElementById("card");
for (const button of document.querySelectorAll("[data-card]")) {
  button.addEventListener("click", () => { card.value = button.dataset.card; card.focus(); });
}
// One press pays once; coming back by history makes the button usable again.
const busy = (on) => { for (const button of form.querySelectorAll("[type=submit]")) button.disabled = on; };
form.addEventListener("submit", () => setTimeout(busy, 0, true));
addEventListener("pageshow", () => busy(false));
