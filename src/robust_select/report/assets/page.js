// Starts the page: reads its data, draws, and draws again when a control, the colours or the width change.

(() => {
  const by = (id) => document.getElementById(id);
  const data = JSON.parse(by('page-data').textContent);
  const ticked = new Set();

  const drawings = {
    path: () => drawPath(by('path-chart'), by('path-note'), data, ticked, by('path-scale').value, pick),
    trainings: () => drawTrainings(by('trainings-chart'), by('trainings-note'), data, ticked, pick),
    scores: () => drawScores(by('scores-chart'), by('scores-note'), data, ticked, by('scores-show').value, by('scores-scale').value, pick),
    front: () => drawFront(by('front-chart'), by('front-note'), data, ticked, by('front-scale').value, pick),
  };
  const drawAll = () => Object.values(drawings).forEach((one) => one());

  function pick(row) {
    if (row === 0) return;
    if (ticked.has(row)) ticked.delete(row); else ticked.add(row);
    table.render();
    drawAll();
  }

  offerScales(by('path-scale'), data.path.values.flat(), isBetterLow(data));
  offerScales(by('scores-scale'), data.scores.flat(), data.direction === 'minimize');
  offerScales(by('front-scale'), data.front.means, data.direction === 'minimize');
  const n = data.names.length, sizes = [12, 24, 48, 96].filter((size) => size < n).map((size) => [String(size), `the best ${size}`]);
  if (n <= 400) sizes.push(['all', `all ${n}`]);
  fillSelect(by('scores-show'), [...sizes, ['ticked', 'those ticked in the table']]);
  by('scores-show').value = n <= 40 ? 'all' : '24';

  by('path-scale').addEventListener('change', drawings.path);
  by('front-scale').addEventListener('change', drawings.front);
  by('scores-scale').addEventListener('change', drawings.scores);
  by('scores-show').addEventListener('change', drawings.scores);
  by('save-scores').addEventListener('click', () => saveScores(data));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  matchMedia('(max-width: 639px)').addEventListener('change', drawAll);

  const table = makeTable(data, ticked, drawAll);
  drawAll();
  document.documentElement.dataset.state = 'ready';
})();
