// Unpacks Plotly, draws every chart when it comes into view, and again when the colour scheme changes.
(async () => {
  const CONFIG = { displayModeBar: false, responsive: true, showTips: false };
  const plots = [...document.querySelectorAll(".plot")];
  if (!plots.length) return;

  async function unpack(element) {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    element.remove();
  }

  function colours(text) {
    const scheme = getComputedStyle(document.documentElement);
    return text.replace(/var\((--[\w-]+)\)/g, (_, name) => scheme.getPropertyValue(name).trim());
  }

  function draw(plot) {
    const { data, layout, points } = JSON.parse(colours(plot.nextElementSibling.textContent));
    if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false; // a finger scrolls the page
    const first = !plot.data;
    if (!first) data.forEach((trace, i) => (trace.visible = plot.data[i].visible ?? true));
    Plotly.react(plot, data, layout, CONFIG);
    if (first && points.length) peek(plot, points);
  }

  // Shows the row under the pointer: its picture, its label, its number.
  function peek(plot, about) {
    const box = plot.parentElement.querySelector(".peek");
    const tile = box.querySelector(".tile");
    plot.on("plotly_hover", ({ points: [point], event }) => {
      const i = point.customdata;
      [box.querySelector("b").textContent, box.querySelector("span").textContent] = about[i];
      if (tile) {
        const { columns, rows, width, height } = tile.dataset;
        const zoom = 72 / Math.max(width, height);
        tile.style.cssText = `width:${width * zoom}px;height:${height * zoom}px;background-size:${columns * width * zoom}px ${rows * height * zoom}px;` +
          `background-position:${-(i % columns) * width * zoom}px ${-Math.floor(i / columns) * height * zoom}px;background-image:url(${tile.dataset.src})`;
      }
      const frame = plot.parentElement.getBoundingClientRect();
      const x = event.clientX - frame.left, y = event.clientY - frame.top;
      box.style.display = "block";
      box.style.left = `${Math.min(x + 14, frame.width - box.offsetWidth)}px`;
      box.style.top = `${Math.max(0, y - box.offsetHeight - 10)}px`;
    });
    plot.on("plotly_unhover", () => (box.style.display = "none"));
  }

  for (const button of document.querySelectorAll(".keys button")) {
    button.addEventListener("click", () => {
      const plot = button.closest(".chart").querySelector(".plot");
      const shown = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", shown);
      const at = Number(button.dataset.trace), words = plot.layout.annotations ?? [];
      const changes = Object.fromEntries(words.map((w, i) => [`annotations[${i}].visible`, w.name === plot.data[at].name ? shown : w.visible ?? true]));
      Plotly.update(plot, { visible: shown }, changes, [at]);
    });
  }

  await unpack(document.getElementById("plotly"));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      watch.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  plots.forEach((plot) => watch.observe(plot));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.filter((p) => p.data).forEach(draw));
  addEventListener("beforeprint", () => plots.filter((p) => !p.data).forEach(draw));
})();
