// What all charts share: numbers in words, scales, layout, roles. Reads the colours of the style sheet.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif';
const MOST_POINTS = 3000;

const isNumber = (value) => typeof value === 'number';
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Plotly reads its texts as a kind of HTML: names are shown as they are.
const plain = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const cut = (text, length) => {
  const letters = [...String(text)];
  return letters.length > length ? `${letters.slice(0, length - 1).join('')}…` : String(text);
};

// Leaves out the middle: names of a grid differ at their ends.
const cutMiddle = (text, length) => {
  const letters = [...String(text)], end = Math.floor((length - 1) / 2);
  if (letters.length <= length) return String(text);
  return `${letters.slice(0, length - 1 - end).join('')}…${letters.slice(letters.length - end).join('')}`;
};

function shown(value, digits = 4) {
  if (value === null || value === undefined) return '';
  if (value === 'inf') return '∞';
  if (value === '-inf') return '−∞';
  if (!isNumber(value)) return String(value);
  if (Number.isInteger(value)) return String(value).replace('-', '−');
  return String(Number(value.toPrecision(digits))).replace('-', '−');
}

const plural = (n, noun) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;

function withAlpha(hex, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

// ---- scales -------------------------------------------------------------------------------------------------

function quantile(values, level) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(level * (sorted.length - 1))];
}

// 'all', 'close' (the better half, by what isBetterLow says) or 'log'; null leaves the range to Plotly.
function scaleOf(values, kind, isBetterLow, also = []) {
  const known = values.filter(isNumber);
  if (!known.length) return { type: 'linear' };
  if (kind === 'log') return { type: 'log', tickmode: 'array', ...logTicks(known.filter((v) => v > 0)) };
  if (kind !== 'close') return { type: 'linear' };
  const kept = [...also.filter(isNumber), ...known.filter((v) => isBetterLow === v <= quantile(known, 0.5))];
  const low = quantile(kept, 0), high = quantile(kept, 1), margin = 0.06 * (high - low || Math.abs(high) || 1);
  return { type: 'linear', range: [low - margin, high + margin] };
}

// Ticks at round multiples of powers of ten, written out; fewer a decade the more decades there are.
function logTicks(values) {
  const low = quantile(values, 0), high = quantile(values, 1), tickvals = [];
  const steps = high / low > 2000 ? [1] : high / low > 12 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    steps.forEach((step) => tickvals.push(Number(`${step}e${power}`)));
  }
  return { tickvals, ticktext: tickvals.map((value) => shown(value)) };
}

// Leaves out ticks of a logarithmic axis that stand too close on a narrow screen, be it beside long names.
function thinned(scale, values, box) {
  if (scale.type !== 'log' || isWide(box)) return scale;
  const known = values.filter((v) => isNumber(v) && v > 0), room = Math.max(100, box.clientWidth - 180);
  const decades = Math.log10(quantile(known, 1) / quantile(known, 0)) || 1, kept = [];
  for (const tick of scale.tickvals) if (!kept.length || Math.log10(tick / kept.at(-1)) * room / decades >= 48) kept.push(tick);
  return { ...scale, tickvals: kept, ticktext: kept.map((value) => shown(value)), tickangle: 0 };
}

// Begin with the scale on which the better half can be told apart.
function offerScales(select, values, isBetterLow) {
  const known = values.filter(isNumber), options = [['all', 'everything'], ['close', 'the better half']];
  const [low, high] = known.length ? known.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]) : [0, 0];
  if (low > 0) options.push(['log', 'logarithmic']);
  fillSelect(select, options);
  if (!(high > low)) return;
  const middle = quantile(known, 0.5), share = (isBetterLow ? middle - low : high - middle) / (high - low || 1);
  if (low > 0 && high / low > 8) select.value = 'log';
  else if (share < 0.2) select.value = 'close';
}

// Keeps the range the same whatever part of the values is drawn.
function held(scale, values) {
  if (scale.range) return scale;
  const isLog = scale.type === 'log', known = values.filter((v) => isNumber(v) && (!isLog || v > 0)).map((v) => (isLog ? Math.log10(v) : v));
  if (!known.length) return scale;
  const [low, high] = known.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]), margin = 0.05 * (high - low || Math.abs(high) || 1);
  return { ...scale, range: [low - margin, high + margin] };
}

function fillSelect(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

// ---- drawing ------------------------------------------------------------------------------------------------

const isWide = (box) => box.clientWidth >= 640;

// Room at the right for the buttons, where there are any.
const marginOf = (box, more = {}) => ({ l: 56, r: isWide(box) ? 46 : 16, t: 44, b: 56, ...more });

// A drawing without anything finite in it is left out, with a word instead.
function leaveOut(box, note, isEmpty, words) {
  box.hidden = isEmpty;
  if (isEmpty) note.textContent = words;
  return isEmpty;
}

const CLOSE_NOTE = 'The scale shows the better half only.';

function layoutOf(box, more) {
  const ink = colour('ink'), soft = colour('soft'), grid = colour('grid'), line = colour('line');
  const axis = {
    gridcolor: grid, linecolor: line, zeroline: false, ticks: 'outside', tickcolor: line, ticklen: 4,
    tickfont: { color: soft, size: 12 }, title: { font: { color: ink, size: 13 }, standoff: 12 }, automargin: true,
    exponentformat: 'power', minor: { showgrid: false },
  };
  const legend = {
    orientation: 'h', x: 0, xanchor: 'left', y: 1, yanchor: 'bottom', font: { color: ink, size: 12.5 },
    itemclick: false, itemdoubleclick: false, bgcolor: 'rgba(0,0,0,0)',
  };
  const { xaxis, yaxis, ...rest } = more;
  const merge = (own) => ({ ...axis, ...own, title: { ...axis.title, ...own.title } });
  return {
    font: { family: FONT, color: ink }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
    margin: marginOf(box), hovermode: 'closest', legend, dragmode: isWide(box) ? 'zoom' : false,
    hoverlabel: { bgcolor: colour('raised'), bordercolor: line, font: { color: ink, family: FONT, size: 13 }, align: 'left' },
    modebar: { bgcolor: 'rgba(0,0,0,0)', color: soft, activecolor: ink, orientation: 'v' }, ...rest, xaxis: merge(xaxis), yaxis: merge(yaxis),
  };
}

function draw(box, traces, layout, onPick) {
  const config = {
    displaylogo: false, responsive: true, displayModeBar: isWide(box) ? 'hover' : false,
    modeBarButtons: [['zoom2d', 'pan2d', 'resetScale2d', 'toImage']],
    toImageButtonOptions: { format: 'svg', filename: box.id },
  };
  Plotly.react(box, traces, layout, config);
  box.removeAllListeners('plotly_click');
  box.on('plotly_click', (event) => {
    const row = event.points[0].customdata;
    if (isNumber(row)) onPick(row);
  });
}

const roleOf = (data, ticked, row) =>
  row === 0 ? 'selected' : ticked.has(row) ? 'ticked' : data.isLeft[row] ? 'left' : 'gone';

const ROLE_NAMES = { selected: 'selected', left: 'left', ticked: 'ticked', gone: 'discarded' };
const SYMBOLS = { selected: 'diamond', left: 'circle', ticked: 'square', gone: 'circle', removed: 'x-thin-open' };

function hoverOf(data, row) {
  const lines = [`<b>${plain(cut(data.names[row], 60))}</b>`];
  lines.push(`${plain(data.criterion)} ${shown(data.criteria[data.criterion][row])} over ${plural(data.instances[row], 'instance')}`);
  if (data.discardedAt[row] === 0) lines.push('stopped by its epochs, before the first step');
  else if (data.discardedAt[row] !== null) lines.push(`discarded at step ${data.discardedAt[row]}`);
  if (data.unusable[row]) lines.push(`${data.unusable[row]} diverged or failed`);
  return lines.join('<br>');
}

const isBetterLow = (data) => data.direction === 'minimize' || data.kind === 'spread';
const better = (low) => (low ? 'lower is better' : 'higher is better');

function baseStar(data, x, y) {
  const row = data.base;
  return { x: [...x], y: y.map((v) => (isNumber(v) ? v : null)), mode: 'markers', name: `base model: ${plain(cut(data.names[row], 28))}`,
    customdata: x.map(() => row), text: x.map(() => hoverOf(data, row)), hoverinfo: 'text',
    marker: { symbol: 'star', size: 12, color: colour('base'), line: { width: 1, color: colour('paper') } } };
}
