// How likely the true best is among the first N of the table.

const SURE_ENOUGH = 0.95;

function drawTopN(section, box, note, data) {
  const found = data.topN, n = data.nCandidates;
  section.hidden = !found;
  if (!found || leaveOut(box, note, found.problem !== undefined, `Not known: ${found.problem}.`)) return;
  const shares = [...found.probabilities], x = [], isWhole = shares.length < n;
  if (isWhole) shares.push(1);
  shares.forEach((_, at) => x.push(at + 1));
  if (isWhole) x[x.length - 1] = n;
  const isLong = x.length > 40, percent = (share) => `${shown(Math.floor(1000 * share + 1e-6) / 10)} %`;
  const text = shares.map((share, at) => `among the first ${x[at].toLocaleString('en')}: ${percent(share)}`);
  const last = isWhole ? x.length - 1 : x.length, end = Math.max(2, x[last - 1]);
  draw(box, [{
    x: x.slice(0, last), y: shares.slice(0, last), text, hoverinfo: 'text', mode: isLong ? 'lines' : 'lines+markers', name: 'probability',
    line: { color: colour('left'), width: 2.4 }, marker: { color: colour('left'), size: 7 }, cliponaxis: false,
  }], layoutOf(box, {
    showlegend: false, margin: marginOf(box, { t: 20 }),
    xaxis: { title: { text: `the best is among the first N of ${plural(n, 'candidate')}` }, ...wholeTicks(end, isLong, box) },
    yaxis: { title: { text: 'probability' }, range: [0, 1.03], tickformat: '.0%' },
    shapes: [{ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: SURE_ENOUGH, y1: SURE_ENOUGH, line: { color: colour('soft'), width: 1, dash: 'dash' }, layer: 'below' }],
  }), () => {});
  const at = shares.findIndex((share) => share >= SURE_ENOUGH);
  const close = found.tolerance ? `, or worse by no more than the tolerance of ${shown(found.tolerance)},` : '';
  note.textContent = `The selected one is the best${close} with ${percent(shares[0])}${at > 0 ? `; one of the first ${x[at].toLocaleString('en')} with ${percent(shares[at])}` : ''}. `
    + 'By a model of these scores: true values about normal over the candidates, outliers apart. Where the candidates are closer to each other than their scores can tell, it is too sure.'
    + (found.isQuoted ? ' The probability on top of the page is the rule’s own, by another model and by the scores it had when it stopped.' : '')
    + (found.nFresh ? ` Here the ${plural(found.nFresh, 'fresh instance')} count, too.` : '');
}

// Whole numbers from 1 to the last, as many as there is room for.
function wholeTicks(end, isLong, box) {
  if (isLong) return { ...thinned(scaleOf([1, end], 'log'), [1, end], box), range: [-0.03 * Math.log10(end), 1.02 * Math.log10(end)] };
  const every = Math.ceil(end / Math.max(3, Math.floor(box.clientWidth / 60))), tickvals = [];
  for (let tick = 1; tick <= end; tick += every) tickvals.push(tick);
  return { tickmode: 'array', tickvals, range: [1 - 0.03 * end, end + 0.03 * end] };
}
