// The robustness card: copies one of its forms.

function offerCopies(box) {
  box.addEventListener('click', async (event) => {
    const button = event.target.closest('button.copy');
    if (!button) return;
    const text = button.closest('.form').querySelector('pre');
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = 'Copied';
    } catch { // not allowed here: the reader's own copying will do
      getSelection().selectAllChildren(text);
      button.textContent = 'Selected: copy it';
    }
  });
}
