"use strict";
(() => {
  const element = document.getElementById("data");
  if (!element) return;
  const data = JSON.parse(element.textContent);
  const by = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const own of all("[data-script]")) own.hidden = false;

  // ---- numbers in words, as the page was written with ----
  const short = (value) => {
    if (value === 0) return "0";
    const power = Math.floor(Math.log10(Math.abs(value)));
    const text = power < -4 || power > 5 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
    return text.replace("-", "\u2212");
  };
  const whole = (value) => value.toLocaleString("en-US");
  const percent = (share) => {
    const digits = share < 0.0995 || (share > 0.9005 && share < 1) ? 1 : 0;
    return `${(100 * share).toFixed(digits)} %`;
  };

  // ---- the threshold, and what follows from it ----
  const given = data.threshold;
  let threshold = given === null ? -Infinity : given;
  const ascending = (values) => Float64Array.from(values).sort();
  const below = (sorted, value) => { // how many of them are smaller
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  };
  const known = data.normal !== null;
  const every = ascending(data.scores);
  const normal = known ? ascending(data.scores.filter((_, i) => data.normal[i])) : null;
  const others = known ? ascending(data.scores.filter((_, i) => !data.normal[i])) : null;
  const reference = data.reference === null ? null
    : ascending(data.reference.map((score) => score ?? -Infinity)); // null: below every threshold
  const kinds = [];
  data.kinds.forEach((kind, i) => (kinds[kind] ??= []).push(data.scores[i]));
  const sortedKinds = kinds.map(ascending);

  const counts = () => {
    const own = { alarms: [below(every, threshold), every.length] };
    if (known) {
      own.false_alarms = [below(normal, threshold), normal.length];
      own.found = [below(others, threshold), others.length];
      own.missed = [others.length - own.found[0], others.length];
    }
    return own;
  };

  const verdict = (i) => {
    const alarm = data.scores[i] < threshold;
    if (!known) return alarm ? "alarm" : "quiet";
    if (data.normal[i]) return alarm ? "false_alarms" : "right";
    return alarm ? "found" : "missed";
  };
  const named = {
    alarm: data.words.alarm, quiet: data.words.quiet, found: data.words.found, missed: data.words.missed,
    right: data.words.normal, false_alarms: data.words.false_alarm,
  };

  const shots = all(".shot");
  const dot = (id, x, y) => {
    const own = document.querySelector(`#${id} .dot`);
    if (!own) return;
    own.hidden = false;
    own.style.left = `${100 * x}%`;
    own.style.top = `${100 * (1 - y)}%`;
  };

  const update = () => {
    const own = counts();
    for (const [name, [count, of]] of Object.entries(own)) {
      for (const place of all(`[data-count="${name}"]`)) place.textContent = whole(count);
      for (const place of all(`[data-share="${name}"]`)) place.textContent = of ? percent(count / of) : "\u2013";
    }
    const finite = Number.isFinite(threshold);
    by("threshold-value").textContent = finite ? short(threshold) : "none";
    const at = Math.max(0, Math.min(1, (threshold - data.low) / (data.high - data.low)));
    by("zone").setAttribute("width", finite ? 1000 * at : 0);
    for (const end of ["x1", "x2"]) by("mark").setAttribute(end, 1000 * at);
    by("mark").setAttribute("visibility", finite ? "visible" : "hidden");
    const parts = [`At ${finite ? short(threshold) : "no threshold"}: ${whole(own.alarms[0])} of ${whole(own.alarms[1])} are ${data.words.alarms}`];
    if (known) {
      if (normal.length) parts.push(`${whole(own.false_alarms[0])} ${data.words.false_alarms} of ${whole(normal.length)}`);
      if (others.length) parts.push(`${whole(own.missed[0])} ${data.words.missed} of ${whole(others.length)}`);
    }
    by("sentence").textContent = `${parts.join(", ")}.`;
    by("threshold").setAttribute("aria-valuetext", parts.join(", "));
    by("reset").disabled = threshold === given || given === null;
    if (reference) {
      const promise = (below(reference, threshold) + 1) / (reference.length + 1);
      const text = finite ? `this threshold promises at most ${percent(Math.min(1, promise))}` : "too few scores for it";
      for (const place of all("[data-promise]")) place.textContent = text;
    }
    if (known && normal.length && others.length) dot("roc", own.false_alarms[0] / normal.length, own.found[0] / others.length);
    sortedKinds.forEach((scores, kind) => {
      const alarms = below(scores, threshold), share = alarms / scores.length;
      for (const place of all(`[data-kind-alarms="${kind}"]`)) place.textContent = whole(alarms);
      for (const place of all(`[data-kind-share="${kind}"]`)) place.textContent = percent(share);
      for (const place of all(`[data-kind-bar="${kind}"]`)) place.style.width = `${100 * share}%`;
    });
    for (const shot of shots) {
      const found = verdict(data.shots[shot.dataset.n]), badge = shot.querySelector(".badge");
      badge.className = `badge ${found}`;
      badge.textContent = named[found];
    }
  };

  const slider = by("threshold");
  slider.addEventListener("input", () => { threshold = Number(slider.value); update(); arrange(false); });
  by("reset").addEventListener("click", () => {
    threshold = given;
    slider.value = given;
    update();
    arrange(true);
    slider.focus();
  });

  // ---- the gallery ----
  const list = by("shots");
  const indexOf = (shot) => data.shots[shot.dataset.n];
  const scoreOf = (shot) => data.scores[indexOf(shot)];
  const orders = {
    low: (a, b) => scoreOf(a) - scoreOf(b),
    high: (a, b) => scoreOf(b) - scoreOf(a),
    near: (a, b) => Math.abs(scoreOf(a) - middle()) - Math.abs(scoreOf(b) - middle()),
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, "en", { numeric: true }),
    kind: (a, b) => a.dataset.kind.localeCompare(b.dataset.kind, "en", { numeric: true }) || orders.low(a, b),
  };
  const middle = () => (Number.isFinite(threshold) ? threshold : every[every.length >> 1]);
  const fits = (shot) => {
    const filter = by("filter").value, i = indexOf(shot), found = verdict(i), alarm = data.scores[i] < threshold;
    const kind = by("kind");
    if (kind && kind.value !== "all" && data.kinds[i] !== Number(kind.value)) return false;
    if (filter === "all") return true;
    if (filter === "alarm" || filter === "quiet") return alarm === (filter === "alarm");
    return found === filter;
  };
  const visible = () => [...list.children].filter((shot) => !shot.hidden);
  function arrange(sorts) {
    if (!list) return;
    if (sorts || by("sort").value === "near") list.append(...shots.sort(orders[by("sort").value]));
    for (const shot of shots) shot.hidden = !fits(shot);
    const n = visible().length;
    by("shown").textContent = n === shots.length ? `${whole(n)} shown` : `${whole(n)} of ${whole(shots.length)} shown`;
  }

  // ---- one picture, enlarged ----
  const viewer = by("viewer");
  let current = null;
  const show = (shot) => {
    current = shot;
    const stack = by("viewer-stack");
    stack.replaceChildren(...[...shot.querySelectorAll(".stack img")].map((image) => image.cloneNode()));
    for (const image of stack.children) image.removeAttribute("loading");
    stack.style.setProperty("--ratio", shot.dataset.ratio);
    stack.classList.toggle("tiny", shot.classList.contains("tiny"));
    by("viewer-title").textContent = shot.dataset.name;
    const said = [shot.dataset.kind, `${data.words.score} ${shot.dataset.score}`, named[verdict(indexOf(shot))], shot.dataset.note];
    by("viewer-about").textContent = said.filter(Boolean).join(" \u00b7 ");
    const shown = visible(), place = shown.indexOf(shot);
    by("viewer-place").textContent = `${whole(place + 1)} of ${whole(shown.length)}`;
    by("previous").disabled = place <= 0;
    by("next").disabled = place >= shown.length - 1;
    if (!viewer.open) viewer.showModal();
  };
  const move = (step) => {
    const shown = visible(), place = shown.indexOf(current) + step;
    if (place >= 0 && place < shown.length) show(shown[place]);
  };

  if (list) {
    for (const id of ["sort", "filter", "kind"]) by(id)?.addEventListener("change", () => arrange(true));
    list.addEventListener("click", (event) => {
      const link = event.target.closest(".open");
      if (!link) return;
      event.preventDefault();
      show(link.closest(".shot"));
    });
    const views = all("input[name=view]");
    const nameView = () => {
      const chosen = views.find((own) => own.checked);
      if (by("view")) by("view").textContent = `View: ${document.querySelector(`label[for=${chosen.id}]`).textContent.toLowerCase()}`;
    };
    for (const own of views) own.addEventListener("change", nameView);
    by("view")?.addEventListener("click", () => {
      const next = views[(views.findIndex((own) => own.checked) + 1) % views.length];
      next.checked = true;
      nameView();
    });
    if (views.length) nameView();
    by("close").addEventListener("click", () => viewer.close());
    by("previous").addEventListener("click", () => move(-1));
    by("next").addEventListener("click", () => move(1));
    viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
    viewer.addEventListener("close", () => current?.querySelector(".open").focus());
    viewer.addEventListener("keydown", (event) => {
      const shown = visible(), place = shown.indexOf(current);
      const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -place, End: shown.length - 1 - place };
      if (!(event.key in steps) ) return;
      event.preventDefault();
      move(steps[event.key]);
    });
  }
  update();
  arrange(true);
})();
