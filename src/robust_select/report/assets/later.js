// Draws first what can be seen, the rest as soon as the browser is free or it comes near; everything before printing.

const NEAR = '600px';

// drawings: name to function; boxOf: the element that a drawing of that name fills, null where the page has none.
function drawLater(drawings, boxOf, onAll) {
  const waiting = new Set(Object.keys(drawings));
  const soon = window.requestIdleCallback ?? ((task) => setTimeout(task, 30));
  const watch = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) drawNow([...waiting].find((name) => boxOf(name) === target));
  }, { rootMargin: NEAR });

  function drawNow(name) {
    if (!waiting.delete(name)) return;
    drawings[name]();
    if (waiting.size) return;
    watch.disconnect();
    onAll();
  }

  const isSeen = (name) => {
    const place = boxOf(name)?.getBoundingClientRect();
    return place !== undefined && place.top < innerHeight && place.bottom > 0;
  };

  function goOn() {
    if (!waiting.size) return;
    soon(() => { drawNow([...waiting][0]); goOn(); }, { timeout: 500 });
  }

  [...waiting].filter(isSeen).forEach(drawNow);
  requestAnimationFrame(() => setTimeout(() => { // once the browser has shown what is drawn
    [...waiting].map(boxOf).filter(Boolean).forEach((box) => watch.observe(box));
    goOn();
  }));
  addEventListener('beforeprint', () => [...waiting].forEach(drawNow));
}
