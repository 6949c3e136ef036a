// The playground: who would have been selected with other settings, from what was computed beforehand.

const RULE_SYMBOLS = { exhaustive: 'square', halving: 'triangle-up', significance: 'circle', 'top-two': 'diamond' };
const RULE_COLOURS = { exhaustive: 'gone', halving: 'ticked', significance: 'left', 'top-two': 'front' };
const MOST_SELECTED = 12;

const ordinal = (n) => {
  const ending = n % 100 > 10 && n % 100 < 14 ? 'th' : { 1: 'st', 2: 'nd', 3: 'rd' }[n % 10] ?? 'th';
  return n === 1 ? 'best' : `${n.toLocaleString('en')}${ending} best`;
};

function makePlayground(play, direction) {
  const by = (id) => document.getElementById(id);
  const knobs = ['rule', 'test', 'warmup', 'level'], labels = { '': '—', null: '—' };
  const settings = play.settings.map((row, position) => ({ position, ...Object.fromEntries(knobs.map((knob, place) => [knob, String(row[place])])) }));
  const criterion = () => play.criteria.indexOf(by('play-criterion').value);
  const sample = () => Number(by('play-sample').value) - 1;
  const isPossible = (setting) => play.selected[criterion()][setting.position][0] >= 0;
  let current = settings[0];

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const isBest = (position) => (place) => play.ranks[criterion()][play.selected[criterion()][position][place]] === 1;
  const shareBest = (position) => mean([...Array(play.nSamples).keys()].map((place) => Number(isBest(position)(place))));

  // The possible setting that agrees with the wish in the knobs up to the one that was turned, and else is nearest.
  function nearest(wish, upTo) {
    const possible = settings.filter(isPossible), place = knobs.indexOf(upTo);
    const price = (setting) => knobs.reduce((sum, knob, n) => {
      if (setting[knob] === wish[knob]) return sum;
      const away = Math.abs(Number(setting[knob]) - Number(wish[knob]));
      return sum + (n <= place ? 1000 : 10) + (Number.isFinite(away) ? Math.min(away, 100) / 100 : 0);
    }, 0);
    return possible.reduce((best, setting) => (price(setting) < price(best) ? setting : best));
  }

  // Each knob offers what goes with the knobs before it.
  function offer() {
    let fits = settings.filter(isPossible);
    for (const knob of knobs) {
      const values = [...new Set(fits.map((setting) => setting[knob]))];
      if (knob === 'warmup' || knob === 'level') values.sort((a, b) => Number(a) - Number(b));
      const select = by(`play-${knob}`);
      fillSelect(select, values.map((value) => [value, labels[value] ?? value]));
      select.value = current[knob];
      select.disabled = values.length < 2;
      fits = fits.filter((setting) => setting[knob] === current[knob]);
    }
    by('play-warmup-name').textContent = current.rule === 'exhaustive' ? 'Instances' : 'Warm-up';
    by('play-level-name').textContent = current.rule === 'top-two' ? 'Confidence' : 'Alpha';
  }

  function say() {
    const c = criterion(), place = sample(), row = play.selected[c][current.position][place], rank = play.ranks[c][row];
    const best = play.best[c], name = play.criteria[c], at = by('play-says'), bold = document.createElement('b');
    bold.className = 'name';
    bold.textContent = play.names[row];
    const all = `${plural(play.orders[place].length, 'replicate')}`;
    const standing = rank === 1 ? `, the best of ${play.nCandidates.toLocaleString('en')} by ${name} on all ${all}` : `, the ${ordinal(rank)} of ${play.nCandidates.toLocaleString('en')} by ${name} on all ${all} (${shown(play.values[c][row])}; the best is ${best})`;
    const nBest = Math.round(shareBest(current.position) * play.nSamples), trainings = play.trainings[c][current.position];
    const over = play.nSamples > 1 ? ` Over all ${play.nSamples} samples the best is selected in ${nBest}, after ${Math.round(mean(trainings)).toLocaleString('en')} trainings on average.` : '';
    at.replaceChildren(bold, ` is selected after ${plural(trainings[place], 'training')}${standing}.${over}`);
    by('play-sample-says').textContent = `${place + 1} of ${play.nSamples}${place ? '' : ', as asked for'}`;
    by('play-sample').setAttribute('aria-valuetext', `sample ${place + 1} of ${play.nSamples}`);
    const order = play.orders[place].slice(0, 24).join(', ');
    const notes = [`Replicates in the order ${order}${play.orders[place].length > 24 ? ', …' : ''}.`];
    if (play.nLeftOut) notes.push(`${plural(play.nLeftOut, 'replicate')} that some candidate lacks ${play.nLeftOut === 1 ? 'is' : 'are'} left out.`);
    notes.push('The samples share their scores, so their number proves little; robust-select efficiency says how often a rule is right.');
    by('play-note').textContent = notes.join(' ');
  }

  function drawWho() {
    const c = criterion(), box = by('play-who'), counts = new Map();
    play.selected[c][current.position].forEach((row) => counts.set(row, (counts.get(row) ?? 0) + 1));
    const rows = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || play.ranks[c][a] - play.ranks[c][b]).slice(0, MOST_SELECTED);
    const now = play.selected[c][current.position][sample()];
    if (!rows.includes(now)) rows[rows.length - 1] = now;
    const tone = rows.map((row) => colour(row === now ? 'selected' : 'left')), size = isWide(box) ? 40 : 24;
    box.style.height = `${Math.max(260, 30 * rows.length + 110)}px`;
    draw(box, [{ type: 'bar', orientation: 'h', y: rows.map((_, place) => place), x: rows.map((row) => counts.get(row)), marker: { color: tone }, width: 0.66, hoverinfo: 'text', cliponaxis: false,
      text: rows.map((row) => `${counts.get(row)}`), textposition: 'outside', textfont: { size: 11, color: colour('soft') }, showlegend: false,
      hovertext: rows.map((row) => `<b>${plain(cut(play.names[row], 60))}</b><br>selected in ${plural(counts.get(row), 'sample')}<br>${plain(play.criteria[c])} on all replicates: ${shown(play.values[c][row])}`) }],
    layoutOf(box, {
      showlegend: false, margin: marginOf(box, { t: 12, r: 30 }),
      xaxis: { title: { text: `samples of ${play.nSamples}` }, range: [0, play.nSamples * 1.08], nticks: 6, tickformat: 'd' },
      yaxis: { tickmode: 'array', tickvals: rows.map((_, place) => place), ticktext: rows.map((row) => plain(cutMiddle(play.names[row], size))), range: [Math.max(rows.length, 4) - 0.4, -0.6],
        ticks: '', tickfont: { size: 12, color: colour('ink') }, showgrid: false, fixedrange: true, title: { text: '' } },
    }), () => {});
  }

  function drawEvery() {
    const c = criterion(), box = by('play-all'), possible = settings.filter(isPossible), traces = [];
    const cost = (setting) => mean(play.trainings[c][setting.position]), about = (setting) => knobs.map((knob) => setting[knob]).filter((text) => text && text !== 'null').join(', ');
    for (const rule of Object.keys(RULE_SYMBOLS)) {
      const of = possible.filter((setting) => setting.rule === rule);
      if (!of.length) continue;
      traces.push({ x: of.map(cost), y: of.map((setting) => 100 * shareBest(setting.position)), customdata: of.map((setting) => setting.position), mode: 'markers', name: rule, hoverinfo: 'text',
        text: of.map((setting) => `<b>${plain(about(setting))}</b><br>${Math.round(cost(setting)).toLocaleString('en')} trainings on average<br>selects the best in ${Math.round(100 * shareBest(setting.position))} % of the samples`),
        marker: { symbol: RULE_SYMBOLS[rule], size: 8, color: withAlpha(colour(RULE_COLOURS[rule]), 0.7) } });
    }
    traces.push({ x: [cost(current)], y: [100 * shareBest(current.position)], mode: 'markers', name: 'chosen', hoverinfo: 'skip', customdata: [current.position],
      marker: { symbol: 'circle-open', size: 20, color: colour('selected'), line: { width: 3, color: colour('selected') } } });
    const costs = possible.map(cost);
    box.style.height = '';
    draw(box, traces, layoutOf(box, {
      showlegend: true, margin: marginOf(box, { t: isWide(box) ? 60 : 92 }),
      xaxis: { title: { text: 'trainings, mean over the samples' }, ...held(thinned(scaleOf(costs, 'log', true), costs, box), costs) },
      yaxis: { title: { text: 'samples in which the best is selected (%)' }, range: [-6, 106] },
    }), (position) => { current = settings[position]; change(); });
  }

  function change() { offer(); say(); drawWho(); drawEvery(); }

  fillSelect(by('play-criterion'), play.criteria.map((name) => [name, name]));
  if (play.asked) {
    by('play-criterion').value = play.asked[0];
    current = settings[play.asked[1]];
  }
  by('play-sample').max = String(play.nSamples);
  by('play-sample').disabled = play.nSamples < 2;
  by('play-criterion').addEventListener('change', () => { current = nearest(current, 'level'); change(); });
  for (const knob of knobs) {
    by(`play-${knob}`).addEventListener('change', () => {
      current = nearest({ ...current, [knob]: by(`play-${knob}`).value }, knob);
      change();
    });
  }
  by('play-sample').addEventListener('input', () => { say(); drawWho(); });
  return { draw: change, direction };
}
