(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const rows = (name) => {
    const { columns, values } = page.datasets[name];
    return values.map((v) => Object.fromEntries(columns.map((c, i) => [c, v[i]])));
  };
  const views = [];
  const muted = new Set();
  for (const [id, { spec, uses }] of Object.entries(page.charts)) {
    const place = document.getElementById(id);
    const whole = { ...spec, config: page.config, datasets: Object.fromEntries(uses.map((n) => [n, rows(n)])) };
    vegaEmbed(place, whole, { actions: false, renderer: "svg", tooltip: { theme: "custom" } })
      .then(({ view }) => views.push(view))
      .catch((error) => { place.textContent = "This chart could not be drawn: " + error; });
  }
  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const arm = button.dataset.arm;
      muted.has(arm) ? muted.delete(arm) : muted.add(arm);
      for (const other of document.querySelectorAll(".legend button")) {
        other.setAttribute("aria-pressed", String(!muted.has(other.dataset.arm)));
      }
      for (const view of views) {
        try { view.signal("muted", [...muted]).runAsync(); } catch { /* this chart has nothing to mute */ }
      }
    });
  }
})();
