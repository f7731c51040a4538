// Plays tunes: a triangle wave a note, a burst of noise a drum.
(() => {
  let context, playing = [];
  function stop() {
    for (const source of playing) source.stop();
    playing = [];
    for (const button of document.querySelectorAll(".play.on")) button.classList.remove("on");
  }
  function strike([start, length, pitch, drum], from) {
    const at = from + start, gain = context.createGain(), end = at + (drum ? 0.12 : length);
    let source;
    if (drum) {
      const noise = context.createBuffer(1, context.sampleRate / 8, context.sampleRate), values = noise.getChannelData(0);
      for (let i = 0; i < values.length; i++) values[i] = Math.random() * 2 - 1;
      const filter = context.createBiquadFilter();
      filter.frequency.value = 40 * 2 ** ((pitch - 30) / 4);
      source = Object.assign(context.createBufferSource(), { buffer: noise });
      source.connect(filter).connect(gain);
    } else {
      source = Object.assign(context.createOscillator(), { type: "triangle" });
      source.frequency.value = 440 * 2 ** ((pitch - 69) / 12);
      source.connect(gain);
    }
    gain.connect(context.destination);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.18, at + 0.01);
    gain.gain.setTargetAtTime(0, Math.max(at + 0.02, end - 0.04), 0.03);
    source.start(at);
    source.stop(end + 0.2);
    playing.push(source);
    return end;
  }
  for (const button of document.querySelectorAll(".play")) {
    button.addEventListener("click", () => {
      const was = button.classList.contains("on");
      stop();
      if (was) return;
      context ??= new AudioContext();
      context.resume();
      const all = button.classList.contains("all");
      const tunes = all ? [...button.closest(".tunes").querySelectorAll(".play[data-sound]")] : [button];
      let from = context.currentTime + 0.08;
      for (const tune of tunes) from = 0.3 + JSON.parse(tune.dataset.sound).reduce((end, n) => Math.max(end, strike(n, from)), from);
      button.classList.add("on");
      const last = playing.at(-1);
      if (last) last.onended = () => playing.includes(last) && stop();
    });
  }
})();

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
    const { data, layout, points, colourings } = JSON.parse(colours(plot.nextElementSibling.textContent));
    if (colourings.length) paint(plot, data[0], colourings);
    if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false; // a finger scrolls the page
    const first = !plot.data;
    if (!first) data.forEach((trace, i) => (trace.visible = plot.data[i].visible ?? true));
    Plotly.react(plot, data, layout, CONFIG);
    if (first && points.length) peek(plot, points);
    if (first && colourings.length) plot.parentElement.querySelector(".by select").addEventListener("change", () => draw(plot));
  }

  // Colours the points by the column that was chosen, and says what the colours mean.
  function paint(plot, trace, colourings) {
    const by = plot.parentElement.querySelector(".by");
    const { name, codes, texts, at, colours: levels, ends } = colourings[by.querySelector("select").selectedIndex];
    const bytes = Uint8Array.from(atob(codes), (c) => c.charCodeAt(0));
    const scheme = getComputedStyle(document.documentElement);
    const [low, middle, high, none] = ["--low", "--middle", "--high", "--c-rest"].map((v) => scheme.getPropertyValue(v).trim());
    const shades = levels.length ? levels : at.map((v) => (v < 0.5 ? mix(low, middle, 2 * v) : mix(middle, high, 2 * v - 1)));
    trace.marker = { ...trace.marker, color: Array.from(bytes, (b) => shades[b] ?? none), opacity: Array.from(bytes, (b) => (b === 255 ? 0.35 : 0.8)) };
    plot.told = (i) => `${name}: ${bytes[i] === 255 ? "missing" : texts[bytes[i]]}`;
    const key = (colour, text) => Object.assign(document.createElement("span"), { innerHTML: `<i style="background:${colour}"></i>` }).appendChild(document.createTextNode(text)).parentElement;
    const scale = Object.assign(document.createElement("i"), { className: "ramp" });
    scale.style.background = `linear-gradient(to right, ${low}, ${middle}, ${high})`;
    const told = levels.length ? levels.map((c, i) => key(c, texts[i])) : [document.createTextNode(ends[0]), scale, document.createTextNode(ends[1])];
    if (bytes.includes(255)) told.push(key(none, "missing"));
    by.querySelector(".key").replaceChildren(...told);
  }

  function mix(a, b, share) {
    const [x, y] = [a, b].map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
    return `rgb(${x.map((v, i) => Math.round(v + (y[i] - v) * share)).join(",")})`;
  }

  // Shows the row under the pointer: its picture, its label, its number.
  function peek(plot, about) {
    const box = plot.parentElement.querySelector(".peek");
    const tile = box.querySelector(".tile");
    plot.on("plotly_hover", ({ points: [point], event }) => {
      const i = point.customdata;
      const [title, words] = about[i];
      [box.querySelector("b").textContent, box.querySelector("span").textContent] = [plot.told ? plot.told(i) : title, words];
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
