// Starts the page: reads its data, draws, and draws again when a control, the colours, the width or the study change.

(() => {
  const by = (id) => document.getElementById(id);
  let data = JSON.parse(by('page-data').textContent);
  const ticked = new Set();
  const at = () => Number(by('path-step').value);

  const drawings = {
    playground: () => playground?.draw(),
    path: () => drawPath(by('path-chart'), by('path-note'), data, ticked, by('path-scale').value, at(), pick),
    cost: () => drawCost(by('cost-chart'), by('cost-note'), data, ticked, by('path-scale').value, at(), pick),
    trainings: () => drawTrainings(by('trainings-chart'), by('trainings-note'), data, ticked, pick),
    topn: () => drawTopN(by('topn'), by('topn-chart'), by('topn-note'), data),
    scores: () => drawScores(by('scores-chart'), by('scores-note'), data, ticked, by('scores-show').value, by('scores-scale').value, pick),
    instances: () => {
      const row = Number(by('instances-who').value);
      drawHistogram(by('histogram-chart'), by('histogram-note'), data, row);
      drawCurves(by('curves'), by('curves-chart'), by('curves-note'), data, row);
    },
    fractions: () => drawFractions(by('fractions'), by('fractions-chart'), by('fractions-note'), data, by('fractions-scale').value),
    front: () => drawFront(by('front-chart'), by('front-note'), data, ticked, by('front-scale').value, pick),
    stability: () => {
      const found = data.stability;
      if (by('stability')) by('stability').hidden = !found;
      if (found && by('stability')) drawStability(by('stability-chart'), by('stability-note'), by('stability-says'), found);
    },
    sources: () => { data.sources?.forEach((found, at) => drawSources(by(`sources-chart-${at}`), by(`sources-note-${at}`), found)); },
  };
  const drawStep = () => { sayWhere(); drawings.path(); drawings.cost(); };
  const drawAll = () => { sayWhere(); Object.values(drawings).forEach((one) => one()); };
  const boxOf = (name) => by({ playground: 'play-who', sources: 'sources-chart-0', instances: 'histogram-chart' }[name] ?? `${name}-chart`);

  function pick(row) {
    if (row === 0) return;
    if (ticked.has(row)) ticked.delete(row); else ticked.add(row);
    table.render();
    showTicked(row);
  }

  function showTicked(row) {
    if (ticked.has(row)) by('instances-who').value = String(row);
    drawAll();
  }

  // ---- the slider: one drawing a frame, however fast it is moved ----
  let isWaiting = false;
  by('path-step').addEventListener('input', () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => { isWaiting = false; drawStep(); });
  });

  function sayWhere() {
    const n = data.path.steps.length;
    by('path-controls').hidden = n < 2;
    if (!n) return;
    by('path-says').textContent = sayStep(data, at());
    by('path-step').setAttribute('aria-valuetext', sayStep(data, at()));
  }

  // Offers what the data allow; keeps what the reader chose where it is still offered.
  function offer() {
    const low = data.direction === 'minimize', slider = by('path-step'), wasLast = !slider.max || slider.value === slider.max;
    const chosen = ['path-scale', 'scores-scale', 'front-scale', 'fractions-scale', 'scores-show'].map((id) => [id, by(id).value]);
    slider.max = String(Math.max(0, data.path.steps.length - 1));
    if (wasLast) slider.value = slider.max;
    offerScales(by('path-scale'), data.path.values.flat(), isBetterLow(data));
    offerScales(by('scores-scale'), data.scores.flat(), low);
    offerScales(by('front-scale'), data.front.means, low);
    offerScales(by('fractions-scale'), finiteCriteria(data), low);
    offerCandidates(by('instances-who'), data.names);
    const n = data.names.length, sizes = [12, 24, 48, 96].filter((size) => size < n).map((size) => [String(size), `the best ${size}`]);
    if (n <= 400) sizes.push(['all', `all ${n}`]);
    fillSelect(by('scores-show'), [...sizes, ['ticked', 'those ticked in the table']]);
    by('scores-show').value = n <= 40 ? 'all' : '24';
    for (const [id, value] of chosen) if ([...by(id).options].some((option) => option.value === value)) by(id).value = value;
  }

  const parts = {}; // as the last update gave them
  function replace(update) {
    const names = [...ticked].map((row) => data.names[row]), isOpen = by('part-card').querySelector('details')?.open;
    for (const [name, html] of Object.entries(update.parts)) {
      if (parts[name] === html) continue;
      by(`part-${name}`).querySelectorAll('.chart').forEach((box) => Plotly.purge(box));
      by(`part-${name}`).innerHTML = parts[name] = html;
    }
    if (isOpen) by('part-card').querySelector('details').open = true;
    data = update.data;
    ticked.clear();
    names.map((name) => data.names.indexOf(name)).filter((row) => row > 0).forEach((row) => ticked.add(row));
    offer();
    table.replace(data);
    drawAll();
  }

  offer();
  by('path-scale').addEventListener('change', drawStep);
  by('front-scale').addEventListener('change', drawings.front);
  by('fractions-scale').addEventListener('change', drawings.fractions);
  by('instances-who').addEventListener('change', drawings.instances);
  by('scores-scale').addEventListener('change', drawings.scores);
  by('scores-show').addEventListener('change', drawings.scores);
  by('save-scores').addEventListener('click', () => saveScores(data));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  matchMedia('(max-width: 639px)').addEventListener('change', drawAll);
  offerCopies(by('part-card'));

  const table = makeTable(data, ticked, showTicked);
  const playground = data.playground ? makePlayground(data.playground, data.direction) : null;
  sayWhere();
  drawLater(drawings, boxOf, () => { document.documentElement.dataset.drawn = 'all'; });
  if (data.version !== undefined) watchStudy(data.version, replace);
  document.documentElement.dataset.state = 'ready';
})();
